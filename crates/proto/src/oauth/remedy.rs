//! What an Entra error number means and what mends it. The words are ours; the numbers are Microsoft's
//! ("Microsoft Entra authentication and authorization error codes").

use entrant_types::{Retry, Whose};

mod client;
mod federation;
mod grant;
mod person;

/// One error number's cause and cure.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Remedy {
    /// The number behind `AADSTS`.
    pub number: u32,
    /// A few words for a headline.
    pub title: &'static str,
    /// What is wrong, one sentence.
    pub cause: &'static str,
    /// What to change, naming the field, the portal page or the `az` command.
    pub fix: &'static str,
    /// Who can mend it.
    pub whose: Whose,
    /// Whether trying again can help without a change.
    pub retry: Retry,
}

/// The remedy of an error number.
#[must_use]
pub fn remedy(number: u32) -> Option<&'static Remedy> {
    all().find(|remedy| remedy.number == number)
}

/// Every remedy, by topic.
pub fn all() -> impl Iterator<Item = &'static Remedy> {
    federation::TABLE.iter().chain(client::TABLE).chain(grant::TABLE).chain(person::TABLE)
}

/// The program's or its registration's configuration is wrong; nothing changes by itself.
const fn setup(number: u32, title: &'static str, cause: &'static str, fix: &'static str) -> Remedy {
    Remedy { number, title, cause, fix, whose: Whose::Configuration, retry: Retry::Never }
}

/// Configuration that takes minutes to reach every server once it is right.
const fn spreading(number: u32, title: &'static str, cause: &'static str, fix: &'static str) -> Remedy {
    Remedy { number, title, cause, fix, whose: Whose::Configuration, retry: Retry::Whenever }
}

/// A person, or the program that called us, must act.
const fn caller(number: u32, title: &'static str, cause: &'static str, fix: &'static str) -> Remedy {
    Remedy { number, title, cause, fix, whose: Whose::Caller, retry: Retry::Never }
}

/// Entra's side; waiting helps.
const fn passing(number: u32, title: &'static str, cause: &'static str, fix: &'static str) -> Remedy {
    Remedy { number, title, cause, fix, whose: Whose::Provider, retry: Retry::Whenever }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn every_number_stands_once_with_a_cause_and_a_fix() {
        let mut seen = HashSet::new();
        for remedy in all() {
            assert!(seen.insert(remedy.number), "{} stands twice", remedy.number);
            for (part, text) in [("title", remedy.title), ("cause", remedy.cause), ("fix", remedy.fix)] {
                assert!(text.len() >= 8, "{} has no {part}", remedy.number);
            }
            assert!(remedy.cause.ends_with('.') && remedy.fix.ends_with('.'), "{}", remedy.number);
        }
    }

    #[test]
    fn the_numbers_that_people_meet_most_have_a_remedy() {
        for number in [
            50011, 50020, 50034, 50058, 50076, 50079, 50105, 50126, 50173, 50194, 50196, 53003, 54005, 65001, 70000,
            70008, 700_016, 700_024, 70021, 700_211, 700_212, 700_213, 700_222, 700_229, 7_000_112, 7_000_215,
            7_000_218, 7_000_222, 70043, 90002, 900_144, 9_002_313, 70025, 7_002_138, 700_214, 7_002_121, 700_226,
            700_227, 700_231, 700_236, 700_223, 700_238, 700_027, 700_263, 700_038, 700_025, 70003, 70011, 1_002_012,
            500_011, 65004, 50074, 700_082, 501_481, 501_051, 500_133, 50013, 500_131, 7_000_113, 70016, 70018, 70019,
            70020, 50049, 90055, 7_002_131, 7_002_137, 7_002_142,
        ] {
            assert!(remedy(number).is_some(), "{number}");
        }
        assert_eq!(remedy(0), None);
    }
}
