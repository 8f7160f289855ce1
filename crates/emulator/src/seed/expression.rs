//! Flexible federated credentials: `claims['sub'] matches 'repo:contoso/*' and claims['ref'] eq 'main'`.

use serde_json::{Map, Value};

/// A parsed expression: every term must hold.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Expression(Vec<Term>);

#[derive(Clone, Debug, PartialEq, Eq)]
struct Term {
    claim: String,
    wild: bool,
    pattern: String,
}

impl Expression {
    /// Parses the operators that version 1 of the language has: `eq`, `matches` (with `?` and `*`) and `and`.
    ///
    /// # Errors
    /// A clause that says what is wrong.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        let mut terms = Vec::new();
        let mut rest = text.trim();
        loop {
            let after = rest.strip_prefix("claims['").ok_or("a term starts with claims['name']")?;
            let (claim, after) = after.split_once("']").ok_or("the claim's name is not closed by ']")?;
            let after = after.trim_start();
            let (wild, after) = if let Some(after) = after.strip_prefix("matches ") {
                (true, after)
            } else if let Some(after) = after.strip_prefix("eq ") {
                (false, after)
            } else {
                return Err("the operator is neither eq nor matches".into());
            };
            let after = after.trim_start().strip_prefix('\'').ok_or("the value is not in single quotes")?;
            let (pattern, after) = after.split_once('\'').ok_or("the value's closing quote is missing")?;
            terms.push(Term { claim: claim.to_owned(), wild, pattern: pattern.to_owned() });
            rest = after.trim();
            if rest.is_empty() {
                return Ok(Self(terms));
            }
            rest = rest.strip_prefix("and ").ok_or("terms are joined by and")?.trim_start();
        }
    }

    /// Whether the claims satisfy every term.
    pub(crate) fn holds(&self, claims: &Map<String, Value>) -> bool {
        self.0.iter().all(|term| {
            claims.get(&term.claim).and_then(Value::as_str).is_some_and(|value| {
                if term.wild { wildcard(term.pattern.as_bytes(), value.as_bytes()) } else { term.pattern == value }
            })
        })
    }
}

impl std::fmt::Display for Expression {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        for (index, term) in self.0.iter().enumerate() {
            let (joint, operator) = (if index == 0 { "" } else { " and " }, if term.wild { "matches" } else { "eq" });
            write!(f, "{joint}claims['{}'] {operator} '{}'", term.claim, term.pattern)?;
        }
        Ok(())
    }
}

/// `*` stands for any run of characters, `?` for one. Linear in both lengths for one `*`, quadratic at worst.
fn wildcard(pattern: &[u8], text: &[u8]) -> bool {
    let (mut p, mut t) = (0, 0);
    let mut star: Option<(usize, usize)> = None;
    while t < text.len() {
        match pattern.get(p) {
            Some(b'*') => {
                star = Some((p, t));
                p += 1;
            }
            Some(byte) if *byte == b'?' || *byte == text[t] => {
                p += 1;
                t += 1;
            }
            _ => match star {
                Some((at, from)) => {
                    p = at + 1;
                    t = from + 1;
                    star = Some((at, from + 1));
                }
                None => return false,
            },
        }
    }
    pattern[p..].iter().all(|byte| *byte == b'*')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn claims(sub: &str) -> Map<String, Value> {
        let mut map = Map::new();
        map.insert("sub".into(), sub.into());
        map.insert("ref".into(), "main".into());
        map
    }

    #[test]
    fn a_wildcard_expression_matches_as_documented() {
        let expression = Expression::parse("claims['sub'] matches 'repo:x/*:r?f' and claims['ref'] eq 'main'").unwrap();
        assert!(expression.holds(&claims("repo:x/y/z:ref")));
        assert!(!expression.holds(&claims("repo:x/y:reef")));
        assert!(!expression.holds(&claims("repo:X/y:ref")), "case matters");
        assert!(!expression.holds(&Map::new()));
    }

    #[test]
    fn an_expression_that_is_not_one_says_why() {
        for text in [
            "",
            "sub eq 'x'",
            "claims['sub'] like 'x'",
            "claims['sub'] eq x",
            "claims['sub'] eq 'x' or claims['a'] eq 'b'",
        ] {
            assert!(Expression::parse(text).is_err(), "{text}");
        }
    }
}
