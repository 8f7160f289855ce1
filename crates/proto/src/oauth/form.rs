//! An `application/x-www-form-urlencoded` body whose every copy is zeroed.

use std::borrow::Cow;

use entrant_types::Secret;

/// Fields of a token request, in the order in which they were added. Printing shows names only.
#[derive(Clone, Default)]
pub struct Form(Vec<(Cow<'static, str>, Secret)>);

impl Form {
    /// No fields.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a field.
    pub fn push(&mut self, name: impl Into<Cow<'static, str>>, value: impl Into<String>) {
        self.0.push((name.into(), Secret::new(value.into())));
    }

    /// Adds a field whose value is already a secret, without copying it.
    pub fn push_secret(&mut self, name: impl Into<Cow<'static, str>>, value: Secret) {
        self.0.push((name.into(), value));
    }

    /// The same form with one more field.
    #[must_use]
    pub fn with(mut self, name: impl Into<Cow<'static, str>>, value: impl Into<String>) -> Self {
        self.push(name, value);
        self
    }

    /// The same form with one more field whose value is already a secret.
    #[must_use]
    pub fn with_secret(mut self, name: impl Into<Cow<'static, str>>, value: Secret) -> Self {
        self.push_secret(name, value);
        self
    }

    /// The first value of a field.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&Secret> {
        self.0.iter().find(|(own, _)| own == name).map(|(_, value)| value)
    }

    /// The urlencoded body. Its buffer is sized for the worst case beforehand: growing it would leave copies
    /// of secrets behind in freed memory.
    #[must_use]
    pub fn encode(&self) -> Secret {
        let worst: usize = self.0.iter().map(|(name, value)| 3 * (name.len() + value.len()) + 2).sum();
        let mut body = String::with_capacity(worst);
        for (name, value) in &self.0 {
            if !body.is_empty() {
                body.push('&');
            }
            body.extend(form_urlencoded::byte_serialize(name.as_bytes()));
            body.push('=');
            body.extend(form_urlencoded::byte_serialize(value.expose().as_bytes()));
        }
        Secret::new(body)
    }
}

impl std::fmt::Debug for Form {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_list().entries(self.0.iter().map(|(name, _)| name)).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_keep_their_order_and_are_urlencoded() {
        let form = Form::new().with("grant_type", "client_credentials").with("scope", "api://x/.default é&=");
        assert_eq!(form.encode().expose(), "grant_type=client_credentials&scope=api%3A%2F%2Fx%2F.default+%C3%A9%26%3D");
    }

    #[test]
    fn a_form_prints_its_names_but_never_a_value() {
        let form = Form::new().with_secret("client_secret", Secret::from("hunter2"));
        let printed = format!("{form:?}");
        assert!(printed.contains("client_secret") && !printed.contains("hunter2"), "{printed}");
    }
}
