//! Reference pages that are written from code are never older than the code.

#![expect(clippy::disallowed_methods, reason = "`cargo xtask docs` says by a variable that the page is to be written")]

use std::fmt::Write as _;

use entrant_proto::oauth::remedy;
use entrant_types::Retry;

const PAGE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/reference/aadsts.md");

#[test]
fn the_page_of_entra_numbers_is_written_from_the_remedies() {
    let page = page();
    if std::env::var_os("ENTRANT_WRITE_DOCS").is_some() {
        std::fs::write(PAGE, &page).unwrap();
    }
    let kept = std::fs::read_to_string(PAGE).unwrap_or_default();
    assert!(kept == page, "docs/reference/aadsts.md is out of date: run `cargo xtask docs`");
}

fn page() -> String {
    let mut remedies: Vec<_> = remedy::all().collect();
    remedies.sort_by_key(|remedy| remedy.number);
    let mut page = String::from(
        "# AADSTS numbers\n\n<!-- written by `cargo xtask docs` from crates/proto/src/oauth/remedy -->\n\n\
         The numbers are Microsoft's, the words are ours: the same ones that pages and log lines show.\n\n\
         | number | what is wrong | what to change | who | try again |\n|---|---|---|---|---|\n",
    );
    for remedy in remedies {
        let retry = match remedy.retry {
            Retry::Never => "no",
            Retry::Whenever | Retry::After(_) => "yes",
        };
        let cell = |text: &str| text.replace('|', "\\|");
        let _ = writeln!(
            page,
            "| <a id=\"aadsts{}\"></a>AADSTS{} | {} | {} | {} | {retry} |",
            remedy.number,
            remedy.number,
            cell(remedy.cause),
            cell(remedy.fix),
            remedy.whose.as_str()
        );
    }
    page
}
