//! What we are built from: banned crates, one TLS stack, permissive licences only. `deny.toml` says the same to
//! cargo-deny; this check needs nothing installed.

use std::collections::BTreeSet;

/// One TLS stack (rustls on aws-lc-rs), and no second way to do HTTP or RSA.
const BANNED: &[&str] = &["ring", "openssl", "openssl-sys", "native-tls", "reqwest", "rsa", "isahc", "curl"];

/// Crates of which two versions would mean two sets of types or two stacks.
const SINGLE: &[&str] = &["rustls", "tokio", "hyper", "http", "aws-lc-rs", "redis", "axum"];

/// Licences that ask no more than notice.
const PERMISSIVE: &[&str] = &[
    "MIT",
    "MIT-0",
    "Apache-2.0",
    "Apache-2.0 WITH LLVM-exception",
    "BSD-2-Clause",
    "BSD-3-Clause",
    "BSL-1.0",
    "CC0-1.0",
    "CDLA-Permissive-2.0",
    "ISC",
    "Unicode-3.0",
    "Unlicense",
    "Zlib",
];

/// Complaints about `cargo tree -f '{p};{l}'`: one crate a line, `NAME vVERSION …;LICENCE`. (The lock file and cargo's
/// metadata also list optional crates that nothing switches on.)
pub(crate) fn check(tree: &str) -> Vec<String> {
    let used: BTreeSet<(&str, &str, &str)> = tree.lines().filter_map(crate_of).collect();
    let mut complaints = Vec::new();
    for (name, _, licence) in &used {
        if BANNED.contains(name) {
            complaints.push(format!("{name} is in the graph; see `cargo tree -i {name} --target all`"));
        }
        if !is_permissive(licence) {
            complaints.push(format!("{name} is licensed `{licence}`, which is not on the list of permissive ones"));
        }
    }
    for single in SINGLE {
        let versions: BTreeSet<&str> =
            used.iter().filter(|(name, _, _)| name == single).map(|(_, version, _)| *version).collect();
        if versions.len() > 1 {
            complaints.push(format!("{single} is in the graph as {versions:?}"));
        }
    }
    complaints
}

/// Name, version and licence of one line of the tree.
fn crate_of(line: &str) -> Option<(&str, &str, &str)> {
    let (package, licence) = line.trim_end_matches(" (*)").split_once(';')?;
    let mut words = package.split_whitespace();
    Some((words.next()?, words.next()?, licence))
}

/// Whether an SPDX expression can be satisfied with permissive licences: of each `OR` one side, of each `AND` both.
fn is_permissive(expression: &str) -> bool {
    let expression = expression.replace('/', " OR ");
    let parts = |separator: &str| split_outside_parentheses(&expression, separator);
    let or = parts(" OR ");
    if or.len() > 1 {
        return or.iter().any(|side| is_permissive(side));
    }
    let and = parts(" AND ");
    if and.len() > 1 {
        return and.iter().all(|side| is_permissive(side));
    }
    let one = expression.trim();
    match one.strip_prefix('(').and_then(|inner| inner.strip_suffix(')')) {
        Some(inner) => is_permissive(inner),
        None => PERMISSIVE.contains(&one),
    }
}

fn split_outside_parentheses(text: &str, separator: &str) -> Vec<String> {
    let (mut parts, mut depth, mut start, mut at) = (Vec::new(), 0_i32, 0, 0);
    while at < text.len() {
        match text.as_bytes()[at] {
            b'(' => depth += 1,
            b')' => depth -= 1,
            _ if depth == 0 && text[at..].starts_with(separator) => {
                parts.push(text[start..at].to_owned());
                at += separator.len();
                start = at;
                continue;
            }
            _ => {}
        }
        at += text[at..].chars().next().map_or(1, char::len_utf8);
    }
    parts.push(text[start..].to_owned());
    parts
}

#[cfg(test)]
mod tests {
    use super::{check, is_permissive};

    #[test]
    fn banned_crates_and_second_stacks_are_found_in_the_tree() {
        assert!(check("rustls v0.23.1;MIT\nrustls v0.23.1;MIT (*)\n\ntokio v1.2.3 (proc-macro);MIT").is_empty());
        assert_eq!(check("ring v0.17.14;ISC").len(), 1);
        assert_eq!(check("rustls v0.23.1;MIT\nrustls v0.22.0;MIT").len(), 1);
        assert_eq!(check("left-pad v1.0.0;GPL-3.0").len(), 1);
    }

    #[test]
    fn every_required_licence_must_be_permissive_and_one_of_each_choice() {
        for yes in [
            "MIT",
            "MIT/Apache-2.0",
            "GPL-3.0 OR MIT",
            "(MIT OR Apache-2.0) AND Unicode-3.0",
            "ISC AND (Apache-2.0 OR ISC) AND Apache-2.0",
            "Apache-2.0 WITH LLVM-exception OR GPL-2.0",
        ] {
            assert!(is_permissive(yes), "{yes}");
        }
        for no in ["", "GPL-3.0", "MIT AND GPL-3.0", "(GPL-2.0 OR LGPL-2.1) AND MIT", "MPL-2.0"] {
            assert!(!is_permissive(no), "{no}");
        }
    }
}
