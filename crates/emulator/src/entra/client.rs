//! Client authentication at the token endpoint: secret, certificate, federated credential, or public.

use std::collections::BTreeMap;

use entrant_proto::jose::UnverifiedJwt;
use entrant_types::Secret;

use super::federation;
use super::grants::Client;
use crate::directory::{App, AppCertificate};
use crate::refusal::Refusal;
use crate::state::State;
use crate::token::AppAuth;

const ASSERTION_TYPE: &str = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";

/// A request's form fields. Unknown ones are ignored: msal-node sends its telemetry among them.
#[derive(Default)]
pub(super) struct Form(BTreeMap<String, Secret>);

impl Form {
    pub(super) fn parse(body: &[u8]) -> Self {
        // The body's size is limited by the server; the first of repeated fields counts.
        let mut fields = BTreeMap::new();
        for (name, value) in form_urlencoded::parse(body) {
            fields.entry(name.into_owned()).or_insert_with(|| Secret::new(value.into_owned()));
        }
        Self(fields)
    }

    pub(super) fn get(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(Secret::expose).filter(|value| !value.is_empty())
    }

    pub(super) fn need(&self, name: &str) -> Result<&str, Refusal> {
        self.get(name).ok_or_else(|| Refusal::missing(name))
    }

    pub(super) fn set(&mut self, name: &str, value: &str) {
        self.0.insert(name.to_owned(), Secret::from(value));
    }
}

/// Which app this is, and that it really is.
pub(super) async fn authenticate<'a>(state: &'a State, form: &Form) -> Result<Client<'a>, Refusal> {
    let app = identify(state, form.need("client_id")?)?;
    if let Some(assertion) = form.get("client_assertion") {
        let kind = form.need("client_assertion_type")?;
        if kind != ASSERTION_TYPE {
            return Err(Refusal::new(
                50027,
                format!("The client assertion type '{kind}' is not supported."),
                format!("Send client_assertion_type={ASSERTION_TYPE}."),
            ));
        }
        assertion_of(state, app, assertion).await?;
        return Ok(Client { app, auth: AppAuth::Assertion });
    }
    if let Some(secret) = form.get("client_secret") {
        check_secret(state, app, secret)?;
        return Ok(Client { app, auth: AppAuth::Secret });
    }
    if app.public_client {
        return Ok(Client { app, auth: AppAuth::None });
    }
    Err(Refusal::new(
        7_000_218,
        "The request body must contain the following parameter: 'client_assertion' or 'client_secret'.",
        format!(
            "Configure the credential of '{}' in the client: a managed identity's assertion, a certificate or a secret.",
            app.name
        ),
    ))
}

/// The registration behind a client id.
pub(super) fn identify<'a>(state: &'a State, client_id: &str) -> Result<&'a App, Refusal> {
    if client_id.parse::<entrant_types::ClientId>().is_err() {
        return Err(Refusal::new(
            700_038,
            format!("'{client_id}' is not a valid application identifier."),
            "Set CLIENT_ID to the application (client) id of the app registration, a GUID.",
        ));
    }
    state.directory.app_by_client_id(client_id).ok_or_else(|| {
        let fix = state.directory.identity_by_client_id(client_id).map_or_else(
            || {
                let known: Vec<String> =
                    state.directory.apps.iter().map(|app| format!("{} = {}", app.name, app.client_id)).collect();
                format!("Check CLIENT_ID and TENANT_ID. Apps of this tenant: {}.", known.join(", "))
            },
            |identity| {
                format!(
                    "That is the client id of managed identity '{}': it belongs in MANAGED_IDENTITY_CLIENT_ID; CLIENT_ID is the app registration's.",
                    identity.name
                )
            },
        );
        Refusal::new(700_016, format!("Application with identifier '{client_id}' was not found in the directory."), fix)
    })
}

fn check_secret(state: &State, app: &App, secret: &str) -> Result<(), Refusal> {
    if app.public_client && app.secrets.is_empty() {
        return Err(Refusal::new(
            700_025,
            format!(
                "Client '{}' is public so neither client_assertion nor client_secret should be presented.",
                app.client_id
            ),
            "Leave the credential out, or register the app as a confidential client.",
        ));
    }
    // Secret compares in constant time.
    let presented = Secret::from(secret);
    let Some(found) = app.secrets.iter().find(|own| own.value == presented) else {
        return Err(Refusal::new(
            7_000_215,
            format!(
                "Invalid client secret provided for app '{}'. Ensure the secret being sent is the secret's value, not its id.",
                app.client_id
            ),
            format!(
                "Use a secret of '{}' as the seed has it, or none at all: a federated credential needs no secret.",
                app.name
            ),
        ));
    };
    match found.expires {
        Some(expires) if expires <= state.now() => Err(Refusal::new(
            7_000_222,
            format!("The provided client secret keys for app '{}' are expired since {expires}.", app.client_id),
            "Add a new secret, or a federated credential, which never expires.",
        )),
        _ => Ok(()),
    }
}

async fn assertion_of(state: &State, app: &App, assertion: &str) -> Result<String, Refusal> {
    let token = UnverifiedJwt::parse(assertion).map_err(|error| {
        Refusal::new(
            50027,
            format!("The client assertion is not a well-formed JWT: {error}."),
            "Send the whole token of the identity endpoint's access_token field, and nothing else.",
        )
    })?;
    let claims = token.unverified_claims();
    let client_id = app.client_id.to_string();
    if federation::text(claims, "iss").eq_ignore_ascii_case(&client_id) {
        return own_certificate(state, app, &token);
    }
    let keys = state.keys.get().await.ok_or_else(|| Refusal::bare(90055))?;
    federation::verify(state, &keys, app, &token)
}

/// `private_key_jwt`: issuer and subject are the client itself, the key is of a registered certificate.
fn own_certificate(state: &State, app: &App, token: &UnverifiedJwt) -> Result<String, Refusal> {
    let refuse = |why: &str| {
        Refusal::new(
            700_027,
            format!("The certificate that signed the client assertion is not usable: {why}."),
            format!(
                "Register the certificate's public part on '{}' and sign with its private key (PS256 with the header x5t#S256, or RS256 with x5t).",
                app.name
            ),
        )
    };
    let claims = token.unverified_claims();
    if federation::text(claims, "sub") != federation::text(claims, "iss") {
        return Err(refuse("issuer and subject are not both the client id"));
    }
    let header = token.header();
    let named = |certificate: &&AppCertificate| {
        header.x5t.as_deref() == Some(&certificate.x5t)
            || header.kid.as_deref().is_some_and(|kid| kid == certificate.x5t || kid == certificate.x5t_s256)
    };
    // MSAL names the certificate by `x5t` or `x5t#S256`; the signature decides in any case.
    let verified = app
        .certificates
        .iter()
        .find(named)
        .into_iter()
        .chain(&app.certificates)
        .any(|certificate| token.verify_client_assertion(&certificate.key).is_ok());
    if !verified {
        return Err(refuse(if app.certificates.is_empty() {
            "the app has no certificate"
        } else {
            "its signature matches none of the app's certificates"
        }));
    }
    federation::verify_times(claims, state.now())?;
    let audience = federation::text(claims, "aud");
    let ours = state.directory.tenants.iter().any(|tenant| {
        let issuer = state.issuers.v2(tenant.id);
        audience == issuer || audience.starts_with(&format!("{}/", state.origins.entra)) && audience.ends_with("/token")
    });
    if !ours {
        return Err(Refusal::new(
            700_212,
            format!("The client assertion's audience '{audience}' is not this token endpoint."),
            "Set the assertion's aud to the token endpoint's URL.",
        ));
    }
    Ok("certificate".to_owned())
}
