//! The page of the client matrix: every client by every capability, and what each case must be told.

use std::fmt::Write as _;

use serde::Deserialize;

/// The columns. A client has a case in each, or a reason why not.
const CAPABILITIES: &[(&str, &str)] = &[
    ("managed identity", "managed identity"),
    ("workload identity", "workload identity (projected token file)"),
    ("service principal", "service principal"),
    ("federated credential", "federated credential (client assertion)"),
    ("sign-in", "sign-in with code and PKCE"),
    ("silent", "silent"),
    ("refresh", "refresh"),
    ("on behalf of", "on behalf of"),
    ("fault", "a fault"),
];
const EXAMPLES: &str = "The repository's examples";
/// Not another's client: the program itself, whose cases are demonstrations of faults.
const OWN: &str = "Entrant";

/// A line of a script: a case and how it ended, or what the package does not offer.
#[derive(Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Cell {
    client: String,
    capability: String,
    #[serde(rename = "case", default)]
    _case: String,
    #[serde(default)]
    variant: String,
    #[serde(default)]
    needs: String,
    failure: Option<String>,
    absent: Option<String>,
}

impl Cell {
    /// An example of the repository, run by a test runner.
    pub(super) fn example(runner: &str, failure: Option<String>) -> Self {
        Self {
            client: EXAMPLES.to_owned(),
            capability: format!("an emulator for `{runner}`"),
            _case: String::new(),
            variant: String::new(),
            needs: "nothing".to_owned(),
            failure,
            absent: None,
        }
    }

    /// Whose it is and what it shows.
    pub(super) fn title(&self) -> String {
        [self.client.as_str(), &self.capability, &self.variant].join(" ").trim_end().to_owned()
    }

    pub(super) fn failure(&self) -> Option<&str> {
        self.failure.as_deref()
    }
}

fn clients(cells: &[Cell]) -> Vec<&str> {
    let mut clients: Vec<&str> = Vec::new();
    for cell in cells.iter().filter(|cell| cell.client != EXAMPLES) {
        if !clients.contains(&cell.client.as_str()) {
            clients.push(&cell.client);
        }
    }
    clients
}

fn of_client<'a>(cells: &'a [Cell], client: &'a str, capability: &'a str) -> impl Iterator<Item = &'a Cell> {
    cells.iter().filter(move |cell| cell.client == client && cell.capability == capability)
}

/// Every client has each capability or a reason why not, and none is without a fault.
pub(super) fn complete(cells: &[Cell]) -> Result<(), String> {
    for client in clients(cells) {
        for (capability, _) in CAPABILITIES {
            let mut own = of_client(cells, client, capability).peekable();
            if own.peek().is_none() && client != OWN {
                return Err(format!("{client}: no case and no reason for `{capability}`"));
            }
            if *capability == "fault" && own.all(|cell| cell.absent.is_some()) {
                return Err(format!("{client}: no case shows a fault"));
            }
        }
    }
    let known = |cell: &Cell| CAPABILITIES.iter().any(|(name, _)| *name == cell.capability);
    match cells.iter().find(|cell| cell.client != EXAMPLES && !known(cell)) {
        Some(cell) => Err(format!("{}: there is no column `{}`", cell.client, cell.capability)),
        None => Ok(()),
    }
}

/// The page, of cells that all passed.
pub(super) fn of(cells: &[Cell]) -> String {
    let mut page = String::from(
        "# Other people's clients\n\nWritten by `cargo xtask sdk`, which CI runs too: unmodified packages from PyPI, npm and the \
         Rust package index, each case in a process of its own, against `entrant dev --seed conformance/sdk/seed.toml`. The \
         versions are pinned in `conformance/sdk`. The number of cases stands in each cell; — is what a package does not offer, \
         for the reason below.\n\n",
    );
    let others: Vec<&str> = clients(cells).into_iter().filter(|client| *client != OWN).collect();
    let _ =
        writeln!(page, "| client | {} |", CAPABILITIES.iter().map(|(name, _)| *name).collect::<Vec<_>>().join(" | "));
    let _ = writeln!(page, "|---|{}", "---|".repeat(CAPABILITIES.len()));
    for client in &others {
        let _ = write!(page, "| {client} |");
        for (capability, _) in CAPABILITIES {
            match of_client(cells, client, capability).filter(|cell| cell.absent.is_none()).count() {
                0 => page.push_str(" — |"),
                number => {
                    let _ = write!(page, " yes ({number}) |");
                }
            }
        }
        page.push('\n');
    }
    page.push_str(
        "\n*Told* below is what the client had to be given beyond its ordinary configuration: variables alone (`entrant emulator \
         env` prints them), or options in code.\n",
    );
    for client in clients(cells) {
        let _ = write!(page, "\n## {client}\n\n| capability | case | told |\n|---|---|---|\n");
        for (capability, label) in CAPABILITIES {
            for cell in of_client(cells, client, capability) {
                let (case, needs) = match &cell.absent {
                    Some(why) => (format!("not offered: {why}"), "—"),
                    None => (cell.variant.clone(), cell.needs.as_str()),
                };
                let _ = writeln!(page, "| {label} | {case} | {needs} |");
            }
        }
    }
    let _ = write!(page, "\n## {EXAMPLES}\n\n");
    for cell in cells.iter().filter(|cell| cell.client == EXAMPLES) {
        let _ = writeln!(page, "- {}", cell.capability);
    }
    page
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cell(capability: &str) -> Cell {
        let line = format!(r#"{{"client":"a client","case":"c","capability":"{capability}","failure":null}}"#);
        serde_json::from_str(&line).unwrap_or_else(|error| panic!("{error}"))
    }

    fn whole() -> Vec<Cell> {
        CAPABILITIES.iter().map(|(name, _)| cell(name)).collect()
    }

    #[test]
    fn a_client_without_a_case_or_a_reason_is_not_complete() {
        assert_eq!(complete(&whole()), Ok(()));
        for (capability, _) in CAPABILITIES {
            let rest: Vec<Cell> = whole().into_iter().filter(|cell| cell.capability != *capability).collect();
            assert!(complete(&rest).is_err_and(|why| why.contains(capability)), "{capability}");
        }
    }

    #[test]
    fn a_reason_does_not_stand_for_a_fault() {
        let mut cells = whole();
        for cell in &mut cells {
            cell.absent = Some("for some reason".to_owned());
        }
        assert!(complete(&cells).is_err_and(|why| why.contains("fault")));
    }

    #[test]
    fn a_case_of_no_column_is_refused() {
        let cells = [whole(), vec![cell("singing")]].concat();
        assert!(complete(&cells).is_err_and(|why| why.contains("singing")));
    }
}
