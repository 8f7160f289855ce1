//! What comes back from the sign-in page, read strictly: every parameter once, none longer than it can be.

use entrant_proto::oauth::TokenError;
use entrant_types::{Code, Fault, Retry, Secret, Whose};

/// 16 KiB for the whole query: an authorization code is under 2 KiB.
const MAX_CALLBACK_BYTES: usize = 16 * 1024;

/// The parameters of a callback (RFC 6749 §4.1.2, RFC 9207).
#[derive(Clone, Debug, Default)]
pub struct Callback {
    pub(crate) code: Option<Secret>,
    pub(crate) state: Option<Secret>,
    pub(crate) issuer: Option<String>,
    error: Option<String>,
    error_description: Option<String>,
}

impl Callback {
    /// Reads a query string, or the body of a `form_post`.
    ///
    /// # Errors
    /// A parameter that stands twice (which of two codes is ours?), or more text than a sign-in page sends.
    pub fn parse(query: &str) -> Result<Self, Fault> {
        if query.len() > MAX_CALLBACK_BYTES {
            return Err(refused("The sign-in page's answer is too long.", "callback_too_long"));
        }
        let mut callback = Self::default();
        for (name, value) in url::form_urlencoded::parse(query.as_bytes()) {
            let value = value.into_owned();
            let twice = match name.as_ref() {
                "code" => callback.code.replace(Secret::new(value)).is_some(),
                "state" => callback.state.replace(Secret::new(value)).is_some(),
                "iss" => callback.issuer.replace(value).is_some(),
                "error" => callback.error.replace(value).is_some(),
                "error_description" => callback.error_description.replace(value).is_some(),
                _ => false,
            };
            if twice {
                return Err(refused("The sign-in page's answer has a parameter twice.", "callback_duplicate"));
            }
        }
        Ok(callback)
    }

    /// `state`, by which the caller finds the flow that this answers.
    #[must_use]
    pub fn state(&self) -> Option<&Secret> {
        self.state.as_ref()
    }

    /// The error that the sign-in page reports instead of a code.
    pub(crate) fn error(&self) -> Option<Fault> {
        let error = self.error.as_deref()?;
        Some(TokenError::from_parts(error, self.error_description.as_deref().unwrap_or_default()).fault(None))
    }
}

/// A callback that does not answer our request.
pub(crate) fn refused(what: &str, code: &'static str) -> Fault {
    Fault::new(Whose::Caller, what, "Start the sign-in again from the application's own page.")
        .retry(Retry::Never)
        .code(Code::Entrant(code))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_parameter_that_stands_twice_is_refused() {
        for query in ["code=a&state=s&code=b", "code=a&state=s&state=s", "error=a&error=b", "iss=a&iss=a&state=s"] {
            assert!(Callback::parse(query).unwrap_err().is("callback_duplicate"), "{query}");
        }
        assert!(Callback::parse("code=a&state=s&session_state=x&session_state=y").is_ok());
    }

    #[test]
    fn a_flood_of_text_is_refused() {
        assert!(Callback::parse(&"a=b&".repeat(10_000)).unwrap_err().is("callback_too_long"));
    }

    #[test]
    fn an_error_keeps_its_number() {
        let query = "error=access_denied&error_description=AADSTS50105%3A+Not+assigned.&state=s";
        let fault = Callback::parse(query).unwrap().error().unwrap();
        assert_eq!(fault.aadsts(), Some(50105));
    }

    #[test]
    fn a_callback_does_not_print_its_code() {
        let printed = format!("{:?}", Callback::parse("code=hunter2&state=hunter3").unwrap());
        assert!(!printed.contains("hunter"), "{printed}");
    }
}
