//! The sequence diagram: lanes for who took part, an arrow for each request, one for its answer.

use crate::journal::Entry;

const LANE: usize = 180;
const FIRST_LANE: usize = 140;
const TOP: usize = 64;
const ROW: usize = 62;
/// Width of a letter of a label, rounded up (12 px monospaced type: 7.2 px).
const GLYPH: usize = 8;
/// Lanes and rows beyond this are not drawn; the list under the diagram has everything.
const MOST_LANES: usize = 10;
const MOST_ROWS: usize = 80;

/// Parties in the order in which a request travels; others stand between the browser and these.
const KNOWN: [&str; 4] = ["identity endpoint", "Entra", "API", "Redis"];

pub(super) struct Diagram {
    pub(super) width: usize,
    pub(super) height: usize,
    pub(super) foot: usize,
    pub(super) lanes: Vec<Lane>,
    pub(super) rows: Vec<Row>,
}

pub(super) struct Lane {
    pub(super) name: String,
    pub(super) x: usize,
}

pub(super) struct Row {
    pub(super) number: u64,
    pub(super) time: String,
    pub(super) y: usize,
    /// Ends of the request's arrow.
    pub(super) from: usize,
    pub(super) to: usize,
    /// Where its text starts.
    pub(super) text: usize,
    pub(super) what: String,
    pub(super) answer: String,
    pub(super) failed: bool,
}

impl Row {
    pub(super) fn answer_y(&self) -> usize {
        self.y + 24
    }
}

/// Lays out `entries`, oldest first.
pub(super) fn diagram(entries: &[Entry]) -> Diagram {
    let entries = &entries[entries.len().saturating_sub(MOST_ROWS)..];
    let names = lanes(entries);
    let lane_of = |name: &str| names.iter().position(|own| own == name);
    let x = |index: usize| FIRST_LANE + index * LANE;
    let mut rows = Vec::new();
    for entry in entries {
        let (Some(from), Some(to)) = (lane_of(party(&entry.from, &names)), lane_of(&entry.to)) else { continue };
        rows.push(Row {
            number: entry.number,
            time: entry.at.to_string().get(11..19).unwrap_or_default().to_owned(),
            y: TOP + rows.len() * ROW + 24,
            from: x(from),
            to: x(to),
            text: x(from.min(to)) + 8,
            what: times(shortened(&entry.what, 90), entry.times),
            answer: answer(entry),
            failed: entry.code.is_some() || entry.status >= 400,
        });
    }
    let foot = TOP + rows.len() * ROW + 8;
    let lanes: Vec<Lane> = names.into_iter().enumerate().map(|(index, name)| Lane { name, x: x(index) }).collect();
    // A long label at the last lanes makes the picture wider, in place of being cut off.
    let reach = |row: &Row| row.text + row.what.chars().count().max(row.answer.chars().count()) * GLYPH;
    let width =
        rows.iter().map(reach).max().unwrap_or(0).max(FIRST_LANE + lanes.len().saturating_sub(1) * LANE + 84) + 16;
    Diagram { width, height: foot + 16, foot, lanes, rows }
}

/// The browser first, then apps, then what they ask.
fn lanes(entries: &[Entry]) -> Vec<String> {
    let mut names: Vec<String> = Vec::new();
    for name in entries.iter().flat_map(|entry| [&entry.from, &entry.to]) {
        if !names.contains(name) && names.len() < MOST_LANES {
            names.push(name.clone());
        }
    }
    let rank = |name: &String| match KNOWN.iter().position(|known| known == name) {
        Some(index) => index + 2,
        None => usize::from(name != "browser"),
    };
    names.sort_by_key(rank);
    // The identity endpoint cannot know which app asks; with one app on the stage it is that one.
    let apps = names.iter().filter(|name| rank(name) == 1 && *name != "app").count();
    if apps == 1 {
        names.retain(|name| name != "app");
    }
    names
}

fn party<'a>(name: &'a str, names: &'a [String]) -> &'a str {
    if name != "app" || names.iter().any(|own| own == "app") {
        return name;
    }
    names.iter().find(|own| *own != "browser" && !KNOWN.contains(&own.as_str())).map_or(name, String::as_str)
}

fn answer(entry: &Entry) -> String {
    let status = match (entry.status, &entry.code) {
        (0, None) => "ok".to_owned(),
        (0, Some(_)) => String::new(),
        (status, _) => status.to_string(),
    };
    match &entry.code {
        Some(code) => format!("{status} {code}").trim().to_owned(),
        None if entry.tokens.is_empty() => status,
        None => {
            let names: Vec<&str> = entry
                .tokens
                .iter()
                .map(|token| token.name.as_str())
                .filter(|name| *name != "client assertion")
                .collect();
            format!("{status} {}", names.join(" + ")).trim().to_owned()
        }
    }
}

fn times(text: String, times: u32) -> String {
    if times > 1 { format!("{text} ({times} times)") } else { text }
}

fn shortened(text: &str, most: usize) -> String {
    if text.chars().count() <= most {
        text.to_owned()
    } else {
        text.chars().take(most - 1).chain(['\u{2026}']).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::diagram;
    use crate::journal::Entry;

    #[test]
    fn lanes_stand_in_the_order_in_which_a_request_travels() {
        let entries = [
            Entry::new("app", "identity endpoint", "IMDS"),
            Entry::new("web-app", "Redis", "AUTH"),
            Entry::new("browser", "Entra", "sign-in"),
            Entry::new("web-app", "API", "GET /api/claims"),
        ];
        let names: Vec<String> = diagram(&entries).lanes.into_iter().map(|lane| lane.name).collect();
        assert_eq!(names, ["browser", "web-app", "identity endpoint", "Entra", "API", "Redis"]);
    }

    #[test]
    fn a_long_label_at_the_last_lane_is_inside_the_picture() {
        let long = "AUTH as 00000000-0000-0000-0000-000000000000 on a new connection";
        let diagram = diagram(&[Entry::new("web-app", "Redis", long)]);
        let row = &diagram.rows[0];
        assert!(diagram.width >= row.text + row.what.chars().count() * 8, "{} px", diagram.width);
    }

    #[test]
    fn no_number_of_entries_makes_an_endless_picture() {
        let entries: Vec<Entry> = (0..1000).map(|n| Entry::new(&format!("app {n}"), "Entra", "token")).collect();
        let diagram = diagram(&entries);
        assert!(diagram.rows.len() <= 80 && diagram.lanes.len() <= 10);
    }
}
