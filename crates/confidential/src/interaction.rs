//! Why a token could not be had silently, by what the caller does next.

use entrant_types::{Code, Fault, Retry, Scope, Whose};

/// The person has to take part.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Interaction {
    /// What to ask for at the next sign-in.
    pub scopes: Vec<Scope>,
    /// What the token endpoint or an API demands: pass it as
    /// [`SignInRequest::claims`](crate::SignInRequest::claims).
    pub claims: Option<String>,
    /// Whether it is consent that is missing: no new proof of identity is needed.
    pub consent: bool,
    /// Why, with the codes.
    pub fault: Fault,
}

/// Why a token could not be had silently.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SilentError {
    /// Send the person to sign in, with these scopes and claims.
    Interaction(Box<Interaction>),
    /// The session is over: the partition is gone. Sign in anew.
    SignedOut(Fault),
    /// Nobody but an administrator or developer can mend this.
    Refused(Fault),
    /// Try again later; the session is as good as before.
    Unavailable(Fault),
}

impl SilentError {
    /// The failure as a sentence with codes.
    #[must_use]
    pub fn fault(&self) -> &Fault {
        match self {
            Self::Interaction(interaction) => &interaction.fault,
            Self::SignedOut(fault) | Self::Refused(fault) | Self::Unavailable(fault) => fault,
        }
    }

    /// Whether trying again later can help without anybody doing anything.
    #[must_use]
    pub const fn is_transient(&self) -> bool {
        matches!(self, Self::Unavailable(_))
    }

    /// Sorts a token endpoint's refusal.
    pub(crate) fn from_grant(fault: Fault, scopes: &[Scope], demand: Option<&str>) -> Self {
        let oauth = |name: &str| fault.codes.iter().any(|code| matches!(code, Code::OAuth(own) if own == name));
        let asks = oauth("interaction_required") || oauth("login_required") || oauth("consent_required");
        // Not assigned to the application, or without a role in it: signing in again ends the same way.
        let hopeless = matches!(fault.aadsts(), Some(50105 | 501_051));
        if !hopeless && (asks || oauth("invalid_grant") || fault.trace.claims.is_some()) {
            let consent = fault.aadsts() == Some(65001)
                || oauth("consent_required")
                || fault.trace.suberror.as_deref() == Some("consent_required");
            let claims = fault.trace.claims.clone().or_else(|| demand.map(str::to_owned));
            return Self::interaction(scopes, claims, consent, fault);
        }
        // A federated credential may still be spreading through Entra: worth a retry, but to be looked at.
        let refused = fault.retry == Retry::Never || fault.whose == Whose::Configuration;
        if refused { Self::Refused(fault) } else { Self::Unavailable(fault) }
    }

    pub(crate) fn interaction(scopes: &[Scope], claims: Option<String>, consent: bool, fault: Fault) -> Self {
        let fault =
            if fault.is("interaction_required") { fault } else { fault.code(Code::Entrant("interaction_required")) };
        Self::Interaction(Box::new(Interaction { scopes: scopes.to_vec(), claims, consent, fault }))
    }

    pub(crate) fn signed_out() -> Self {
        let fault = Fault::new(Whose::Caller, "The session is over.", "Sign in again.");
        Self::SignedOut(fault.retry(Retry::Never).code(Code::Entrant("signed_out")))
    }
}

impl std::fmt::Display for SilentError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        std::fmt::Display::fmt(self.fault(), f)
    }
}

impl std::error::Error for SilentError {}

impl From<SilentError> for Fault {
    fn from(error: SilentError) -> Self {
        match error {
            SilentError::Interaction(interaction) => interaction.fault,
            SilentError::SignedOut(fault) | SilentError::Refused(fault) | SilentError::Unavailable(fault) => fault,
        }
    }
}
