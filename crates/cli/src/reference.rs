//! `docs/reference/configuration.md`, made from the table of settings.

use crate::variable::{self, Command, Kind, Variable};

/// The whole page.
pub(crate) fn page() -> String {
    let mut page = String::from(
        "# Configuration\n\n<!-- written by `entrant reference` from crates/cli/src/variable/ -->\n\n\
         Precedence: flag, then attached ready file (`--attach`), then environment, then config file (`--config`, TOML),\n\
         then default. Of several environment variables the first that is set counts. A key of the config file is the flag\n\
         with underscores. Secrets come from the environment only.\n\n\
         | flag | environment | default | what | commands |\n|---|---|---|---|---|\n",
    );
    for variable in variable::ALL {
        page.push_str(&row(variable));
    }
    page.push_str("\n## Commands\n\n");
    for command in Command::ALL {
        page.push_str(&format!("- `entrant {}`: {}.\n", command.name(), command.about()));
    }
    page.push_str(
        "\n## Exit codes\n\n0 clean · 1 failed · 2 bad usage or configuration · 130 and 143 ended by SIGINT and SIGTERM after draining.\n",
    );
    page
}

fn row(variable: &Variable) -> String {
    let flag = match (variable.kind, variable.value) {
        (Kind::Secret, _) => "–".to_owned(),
        (_, "") => format!("`--{}`", variable.flag),
        (_, value) => format!("`--{} {}`", variable.flag, value.replace('|', "\\|")),
    };
    let env: Vec<_> = variable.env.iter().map(|name| format!("`{name}`")).collect();
    let default = variable.default.map_or_else(|| "–".to_owned(), |text| format!("`{text}`"));
    let commands = if variable.commands.len() == Command::ALL.len() {
        "all".to_owned()
    } else {
        variable.commands.iter().map(|command| format!("`{}`", command.name())).collect::<Vec<_>>().join(", ")
    };
    let env = if env.is_empty() { "–".to_owned() } else { env.join(", ") };
    format!("| {flag} | {env} | {default} | {} | {commands} |\n", variable.help.replace('|', "\\|"))
}

#[cfg(test)]
mod tests {
    use super::page;

    #[test]
    fn the_reference_page_is_the_one_in_the_repository() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/reference/configuration.md");
        let kept = std::fs::read_to_string(path).unwrap_or_default();
        assert!(kept == page(), "out of date: run `cargo run -- reference > docs/reference/configuration.md`");
    }
}
