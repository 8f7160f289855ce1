//! Entra's error numbers: the OAuth `error`, HTTP status and suberror that each one comes with.
//!
//! Sources: Microsoft's `reference-error-codes.md` and `workload-identity-federation-considerations.md`, and
//! published captures. The texts are ours.

/// What surrounds a number in a reply.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Shape {
    pub(crate) number: u32,
    pub(crate) status: u16,
    pub(crate) error: &'static str,
    pub(crate) suberror: Option<&'static str>,
    /// What a forced fault says when nobody gives a better reason.
    pub(crate) text: &'static str,
}

const fn shape(number: u32, status: u16, error: &'static str, text: &'static str) -> Shape {
    Shape { number, status, error, suberror: None, text }
}

const fn with_suberror(shape: Shape, suberror: &'static str) -> Shape {
    Shape { suberror: Some(suberror), ..shape }
}

/// The shape of `number`; unknown ones are `invalid_request` with 400, as most of Entra's are.
pub(crate) fn shape_of(number: u32) -> Shape {
    SHAPES
        .iter()
        .copied()
        .find(|shape| shape.number == number)
        .unwrap_or_else(|| shape(number, 400, "invalid_request", "The request was refused."))
}

/// Every number that is known here.
pub(crate) const SHAPES: &[Shape] = &[
    shape(50001, 400, "invalid_resource", "The resource is not known in this tenant."),
    shape(50020, 400, "invalid_grant", "The user account does not exist in the tenant of the application."),
    shape(50011, 400, "invalid_request", "The redirect URI of the request is not registered for the application."),
    shape(50013, 400, "invalid_grant", "The signature of the incoming assertion does not verify."),
    shape(50027, 400, "invalid_request", "The token in the request is not a well-formed JWT."),
    shape(50049, 400, "invalid_instance", "The authority host is not known."),
    shape(50050, 400, "invalid_request", "The request is malformed."),
    shape(50053, 400, "invalid_grant", "The account is locked."),
    shape(50057, 400, "invalid_grant", "The user account is disabled."),
    shape(50058, 400, "login_required", "Nobody is signed in, and the request forbids asking."),
    with_suberror(shape(50074, 400, "interaction_required", "A second factor is needed."), "basic_action"),
    with_suberror(
        shape(50076, 400, "interaction_required", "A second factor is needed for this resource."),
        "basic_action",
    ),
    with_suberror(shape(50079, 400, "interaction_required", "The user must register a second factor."), "basic_action"),
    shape(50105, 400, "invalid_grant", "The user is not assigned to the application."),
    shape(50126, 400, "invalid_grant", "The user name or the password is wrong."),
    shape(50173, 400, "invalid_grant", "The grant was revoked; a fresh sign-in is needed."),
    shape(50196, 400, "invalid_request", "The client asks for the same token over and over."),
    with_suberror(
        shape(53003, 400, "interaction_required", "A Conditional Access policy blocks this sign-in."),
        "message_only",
    ),
    shape(54005, 400, "invalid_grant", "The authorization code was already redeemed."),
    with_suberror(shape(65001, 400, "invalid_grant", "Nobody has consented to these permissions."), "consent_required"),
    shape(65004, 400, "access_denied", "The user declined to consent."),
    shape(70000, 400, "invalid_grant", "The grant is not valid."),
    shape(70002, 401, "invalid_client", "The client could not be authenticated."),
    shape(70003, 400, "unsupported_grant_type", "The grant type is not supported."),
    shape(70008, 400, "invalid_grant", "The authorization code or refresh token has expired."),
    shape(70011, 400, "invalid_scope", "The scope is not valid."),
    shape(70016, 400, "authorization_pending", "The user has not finished signing in on the other device."),
    shape(70018, 400, "invalid_grant", "The device code is not known."),
    shape(70019, 400, "expired_token", "The device code has expired."),
    shape(70020, 400, "expired_token", "The device code has expired."),
    shape(
        70021,
        400,
        "invalid_request",
        "No federated credential matches the assertion yet; a new one needs minutes to spread.",
    ),
    shape(70025, 401, "invalid_client", "The application has no federated identity credential."),
    with_suberror(
        shape(70043, 400, "invalid_grant", "The refresh token has expired by a sign-in frequency policy."),
        "bad_token",
    ),
    shape(90002, 400, "invalid_request", "The tenant does not exist."),
    shape(90014, 400, "invalid_request", "A required field is missing."),
    shape(90055, 429, "temporarily_unavailable", "Too many requests."),
    shape(28000, 400, "invalid_request", "The scope names more than one resource."),
    shape(500011, 400, "invalid_resource", "The resource principal does not exist in the tenant."),
    shape(500131, 400, "invalid_grant", "The audience of the incoming assertion is another application."),
    shape(500133, 400, "invalid_grant", "The incoming assertion is not within its time of validity."),
    shape(501051, 400, "invalid_grant", "The application is not assigned to a role of the target."),
    shape(501481, 400, "invalid_grant", "The code verifier does not match the code challenge."),
    shape(700016, 400, "unauthorized_client", "The application does not exist in the tenant."),
    shape(700024, 401, "invalid_client", "The client assertion is not within its time of validity."),
    shape(700025, 401, "invalid_client", "The client is public and must not send a credential."),
    shape(700027, 401, "invalid_client", "The signature of the client assertion does not verify."),
    shape(700038, 400, "invalid_request", "The client id is not a valid application id."),
    shape(700054, 400, "unsupported_response_type", "The response type is not enabled for the application."),
    shape(700082, 400, "invalid_grant", "The refresh token has expired through inactivity."),
    shape(700211, 401, "invalid_client", "No federated credential has the issuer of the assertion."),
    shape(700212, 401, "invalid_client", "No federated credential has the audience of the assertion."),
    shape(700213, 401, "invalid_client", "No federated credential has the subject of the assertion."),
    shape(700214, 401, "invalid_client", "The audience of the assertion must be api://AzureADTokenExchange."),
    shape(700222, 401, "invalid_client", "Tokens issued by Entra itself cannot be used for this federation."),
    shape(700223, 401, "invalid_client", "A policy of the tenant disables federated credentials."),
    shape(700226, 401, "invalid_client", "For an Entra issuer only a managed identity's token can be an assertion."),
    shape(700227, 401, "invalid_client", "The assertion is a v1 token with an audience that is not for federation."),
    shape(700231, 401, "invalid_client", "The assertion was itself obtained by federation."),
    shape(700236, 401, "invalid_client", "The issuer of the assertion is not allowed in this tenant."),
    shape(700238, 401, "invalid_client", "Federation is disabled for this application."),
    shape(900144, 400, "invalid_request", "A required parameter is missing."),
    shape(900971, 400, "invalid_request", "The request has no reply address."),
    shape(1002012, 400, "invalid_scope", "The scope must end in /.default for this grant."),
    shape(7000112, 400, "unauthorized_client", "The application is disabled."),
    shape(7000113, 400, "invalid_grant", "The incoming assertion is an app-only token; a user's is needed."),
    shape(7000215, 401, "invalid_client", "The client secret is wrong."),
    shape(7000218, 401, "invalid_client", "The request must contain client_assertion or client_secret."),
    shape(7000222, 401, "invalid_client", "The client secret has expired."),
    shape(7002121, 401, "invalid_client", "The managed identity's token was made for another audience."),
    shape(7002131, 401, "invalid_client", "No flexible federated credential matches the assertion."),
    shape(7002137, 401, "invalid_client", "The issuer differs from the credential's in case only."),
    shape(7002138, 401, "invalid_client", "The subject differs from the credential's in case only."),
    shape(7002142, 401, "invalid_client", "No federated credential matches the assertion's claims."),
    shape(9002313, 400, "invalid_request", "The request is malformed."),
];

#[cfg(test)]
mod tests {
    use super::SHAPES;

    #[test]
    fn every_number_has_one_shape() {
        let mut numbers: Vec<u32> = SHAPES.iter().map(|shape| shape.number).collect();
        numbers.sort_unstable();
        let before = numbers.len();
        numbers.dedup();
        assert_eq!(numbers.len(), before);
    }
}
