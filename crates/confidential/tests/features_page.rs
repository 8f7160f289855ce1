//! The page of features names tests; every one of them exists.

#![expect(clippy::unwrap_used, reason = "a test may stop at a broken promise")]

use std::path::Path;

/// The text of every Rust file below a folder.
fn sources(folder: &Path, text: &mut String) {
    for entry in std::fs::read_dir(folder).into_iter().flatten() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            sources(&path, text);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            text.push_str(&std::fs::read_to_string(&path).unwrap());
        }
    }
}

#[test]
fn every_test_that_the_page_of_features_names_exists() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let page = std::fs::read_to_string(root.join("docs/reference/features.md")).unwrap();
    let mut named = 0;
    for krate in ["proto", "credential", "validate", "confidential"] {
        let mut text = String::new();
        for part in ["src", "tests"] {
            sources(&root.join("crates").join(krate).join(part), &mut text);
        }
        let prefix = format!("`{krate}::");
        for test in page.split(&prefix).skip(1).filter_map(|rest| rest.split('`').next()) {
            assert!(text.contains(&format!("fn {test}()")), "{krate} has no test {test}");
            named += 1;
        }
    }
    assert!(named > 60, "only {named} tests are named");
}
