//! Who is it, and may it in: user name and token to an identity, with the true reason of every refusal.

use std::sync::Arc;

use entrant_types::{Clock, Code, Fault, ObjectId, Retry, Timestamp, Whose};
use entrant_validate::{Rejected, Validator, Verified};

use crate::assignments::Assignments;

/// The application id of Azure Cache for Redis, an audience like its URL.
pub const REDIS_APPLICATION_ID: &str = "acca5fbb-b7e4-4009-81f1-37e38fd66d78";

/// Audiences that a token for Redis can have: the scope `https://redis.azure.com/.default` gives the URL without a
/// slash, `https://redis.azure.com//.default` the one with it, `GUID/.default` the application id.
pub const REDIS_AUDIENCES: [&str; 3] = ["https://redis.azure.com", "https://redis.azure.com/", REDIS_APPLICATION_ID];

/// Who is connected, and until when.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Identity {
    /// The principal: user name of the `AUTH`, claim `oid`.
    pub object_id: ObjectId,
    /// When the token ends, and the connection with it.
    pub expires: Timestamp,
}

/// Why nobody was let in. The client is told `WRONGPASS` in every case, as by Azure; log and metric say this.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// The user name is no object id.
    #[error("the user name is not an object id")]
    UserName,
    /// The token is not good.
    #[error("the token was refused: {0}")]
    Token(Box<Rejected>),
    /// A good token without `oid`.
    #[error("the token has no oid claim")]
    NoObjectId,
    /// A good token of somebody else.
    #[error("the user name {user} is not the token's oid {oid}")]
    ObjectIdMismatch {
        /// The user name of the `AUTH`.
        user: ObjectId,
        /// The token's `oid`.
        oid: ObjectId,
        /// Whether the user name is the token's *client* id, the commonest mistake.
        is_client_id: bool,
    },
    /// No access policy is assigned to this object id.
    #[error("no access policy is assigned to the object id {0}")]
    MissingPolicy(ObjectId),
    /// A fault switch is on.
    #[error("a fault switch refuses it")]
    Injected,
}

impl Refusal {
    /// One word, for metrics and logs.
    #[must_use]
    pub fn reason(&self) -> &'static str {
        match self {
            Self::UserName => "user_name",
            Self::Token(rejected) => rejected.reason(),
            Self::NoObjectId => "no_object_id",
            Self::ObjectIdMismatch { .. } => "object_id_mismatch",
            Self::MissingPolicy(_) => "missing_policy",
            Self::Injected => "injected",
        }
    }

    /// The failure with what to change.
    #[must_use]
    pub fn to_fault(&self) -> Fault {
        let fix = match self {
            Self::Token(rejected) if matches!(**rejected, Rejected::Audience { .. }) => {
                "Ask for the token with the scope https://redis.azure.com/.default.".to_owned()
            }
            Self::Token(rejected) => rejected.to_fault().fix,
            Self::UserName => "AUTH with the object (principal) id of the identity as user name.".to_owned(),
            Self::NoObjectId => "Use a token of a user, service principal or managed identity.".to_owned(),
            Self::ObjectIdMismatch { is_client_id: true, oid, .. } => {
                format!("The user name is the client id; use the object (principal) id {oid}.")
            }
            Self::ObjectIdMismatch { oid, .. } => format!("Use the token's own object id {oid} as user name."),
            Self::MissingPolicy(oid) => format!("Assign an access policy to {oid}."),
            Self::Injected => "Switch the fault off.".to_owned(),
        };
        let whose = if matches!(self, Self::MissingPolicy(_)) { Whose::Configuration } else { Whose::Caller };
        Fault::new(whose, format!("AUTH was refused: {self}."), fix)
            .retry(Retry::Never)
            .code(Code::Entrant(self.reason()))
            .code(Code::Redis("WRONGPASS".to_owned()))
    }
}

/// Checks credentials.
#[derive(Debug)]
pub(super) struct Authenticator {
    validator: Arc<Validator>,
    assignments: Assignments,
    clock: Arc<dyn Clock>,
}

impl Authenticator {
    pub(super) fn new(validator: Arc<Validator>, assignments: Assignments, clock: Arc<dyn Clock>) -> Self {
        Self { validator, assignments, clock }
    }

    /// Checks a user name and a token. A token seen before costs the validator one SHA-256.
    pub(super) async fn check(&self, user: &[u8], token: &[u8]) -> Result<Identity, Refusal> {
        let user: ObjectId =
            std::str::from_utf8(user).ok().and_then(|text| text.parse().ok()).ok_or(Refusal::UserName)?;
        let verified = self.verified(token).await.map_err(|rejected| Refusal::Token(Box::new(rejected)))?;
        let oid = verified.object_id().ok_or(Refusal::NoObjectId)?;
        if oid != user {
            let is_client_id = verified.client_id().is_some_and(|id| id.guid() == user.guid());
            return Err(Refusal::ObjectIdMismatch { user, oid, is_client_id });
        }
        if self.assignments.get(oid).is_none() {
            return Err(Refusal::MissingPolicy(oid));
        }
        Ok(Identity { object_id: oid, expires: verified.expires() })
    }

    async fn verified(&self, token: &[u8]) -> Result<Verified, Rejected> {
        let text = std::str::from_utf8(token).map_err(|_| Rejected::Malformed("it is not text"))?;
        let verified = self.validator.validate(text).await?;
        // The validator forgives clock skew; a connection that would be closed at once is not opened.
        if verified.expires() <= self.clock.now() {
            return Err(Rejected::Expired { at: verified.expires() });
        }
        Ok(verified)
    }
}
