//! Promises of the look: readable in light and dark, and nothing fetched from elsewhere.

use std::collections::HashMap;

const STYLESHEET: &str = include_str!("../../assets/entrant.css");

/// Custom colours of one scheme: name to red, green, blue.
fn colours(block: &str) -> HashMap<String, [f64; 3]> {
    let declarations = block.split([';', '{', '}']);
    let named = declarations.filter_map(|declaration| declaration.trim().strip_prefix("--")?.split_once(": #"));
    named
        .map(|(name, hex)| {
            let channel = |at: usize| f64::from(u8::from_str_radix(&hex[at..at + 2], 16).unwrap()) / 255.0;
            (name.to_owned(), [channel(0), channel(2), channel(4)])
        })
        .collect()
}

/// Relative luminance (WCAG 2.2, definitions).
fn luminance(colour: [f64; 3]) -> f64 {
    let linear = colour.map(|c| if c <= 0.040_45 { c / 12.92 } else { ((c + 0.055) / 1.055).powf(2.4) });
    0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]
}

fn contrast(one: [f64; 3], other: [f64; 3]) -> f64 {
    let (one, other) = (luminance(one), luminance(other));
    (one.max(other) + 0.05) / (one.min(other) + 0.05)
}

#[test]
fn text_keeps_a_contrast_of_four_and_a_half_in_light_and_dark() {
    let (light, rest) = STYLESHEET.split_once("@media (prefers-color-scheme: dark)").unwrap();
    let (dark, _) = rest.split_once("* { box-sizing").unwrap();
    let text_on = [
        ("ink", "paper"),
        ("ink", "card"),
        ("soft", "paper"),
        ("soft", "card"),
        ("door", "paper"),
        ("door", "card"),
        ("door-ink", "door"),
        ("door", "door-wash"),
        ("wait", "wait-wash"),
        ("bad", "bad-wash"),
        ("bad", "paper"),
        ("ink", "bad-wash"),
    ];
    for (scheme, block) in [("light", light), ("dark", dark)] {
        let colours = colours(block);
        for (text, ground) in text_on {
            let found = contrast(colours[text], colours[ground]);
            assert!(found >= 4.5, "{scheme}: {text} on {ground} has {found:.2}");
        }
        // Bars are graphics: three to one against what they lie on (WCAG 2.2, 1.4.11).
        for bar in ["one", "two", "three"] {
            let found = contrast(colours[bar], colours["card"]);
            assert!(found >= 3.0, "{scheme}: {bar} has {found:.2}");
        }
    }
}

#[test]
fn the_stylesheet_fetches_nothing() {
    for forbidden in ["url(", "@import", "@font-face", "http"] {
        assert!(!STYLESHEET.contains(forbidden), "{forbidden}");
    }
}
