//! What must be in no tracked file: addresses of package registries, paths of somebody's machine.

use crate::run;

/// Text that ties a file to one machine or one registry, cut in two so that this file passes its own check.
const TIES: &[(&str, &str)] = &[
    (concat!("index.crates", ".io"), "the host of a registry"),
    (concat!("static.crates", ".io"), "the host of a registry"),
    (concat!("registry.npm", "js.org"), "the host of a registry"),
    (concat!("pypi", ".org"), "the host of a registry"),
    (concat!("files.python", "hosted.org"), "the host of a registry"),
    (concat!("deb.debian", ".org"), "the host of a registry"),
    (concat!("/work", "/"), "the path of one machine"),
    (concat!("/root", "/"), "the path of one machine"),
    (concat!("/home", "/"), "the path of one machine"),
    (concat!("/Users", "/"), "the path of one machine"),
];

/// Complaints about tracked text files. Binary files and cargo's own lock file are not read.
pub(crate) fn check(tracked: &[&str]) -> Vec<String> {
    let mut complaints = Vec::new();
    for path in tracked.iter().filter(|path| **path != "Cargo.lock") {
        let Ok(text) = std::fs::read_to_string(run::root().join(path)) else { continue };
        for (number, line) in text.lines().enumerate() {
            for (tie, what) in ties(line) {
                complaints.push(format!("{path}:{}: `{tie}`: {what} does not belong in the repository", number + 1));
            }
        }
    }
    complaints
}

fn ties(line: &str) -> impl Iterator<Item = (&'static str, &'static str)> {
    TIES.iter().copied().filter(move |(tie, _)| {
        // A path of a machine starts there: `docs/work/x` and `https://example/home/` are none.
        line.match_indices(tie).any(|(at, _)| {
            !tie.starts_with('/')
                || line[..at].chars().next_back().is_none_or(|c| !c.is_alphanumeric() && !"./-_}".contains(c))
        })
    })
}

#[cfg(test)]
mod tests {
    use super::ties;

    #[test]
    fn paths_of_a_machine_are_found_only_where_they_start() {
        assert_eq!(ties(concat!("see /work", "/main")).count(), 1);
        assert_eq!(ties(concat!("\"/home", "/me\"")).count(), 1);
        assert_eq!(ties(concat!("https://host/work", "/x")).count(), 0);
        assert_eq!(ties(concat!("https://pypi", ".org/simple")).count(), 1);
    }
}
