//! Managed-identity endpoints on the wire: which identity, what to send, and replies as they really come.

use std::fmt;
use std::time::Duration;

use entrant_types::outside::{HttpReply, HttpRequest};
use entrant_types::{
    AccessToken, ClientId, Code, Fault, Lifetime, ObjectId, Resource, Retry, Secret, Timestamp, Whose,
};
use serde_json::{Map, Value};

use crate::oauth::error::quoted;
use crate::oauth::{http_date, seconds};

/// The base URL of a virtual machine's metadata service. Dialled only where configuration chose managed
/// identity on a virtual machine; `AZURE_POD_IDENTITY_AUTHORITY_HOST` replaces it.
pub const IMDS_BASE: &str = "http://169.254.169.254";
/// The token path of the metadata service.
pub const IMDS_PATH: &str = "/metadata/identity/oauth2/token";
/// The metadata service's protocol version that every SDK but one uses.
pub const IMDS_API_VERSION: &str = "2018-02-01";
/// The protocol version of App Service, Functions and Container Apps.
pub const APP_SERVICE_API_VERSION: &str = "2019-08-01";

/// A success that says no life is used this long; identities' tokens live an hour at least.
const LIFE_WHEN_UNSAID: Duration = Duration::from_secs(300);

/// Which of a host's identities is meant.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Default)]
pub enum Selector {
    /// The identity that belongs to the host itself.
    #[default]
    SystemAssigned,
    /// A user-assigned identity by client id.
    ClientId(ClientId),
    /// A user-assigned identity by object (principal) id.
    ObjectId(ObjectId),
    /// A user-assigned identity by resource id, `/subscriptions/…/userAssignedIdentities/NAME`.
    ResourceId(String),
}

impl Selector {
    /// Whether a user-assigned identity is named.
    #[must_use]
    pub fn is_user_assigned(&self) -> bool {
        *self != Self::SystemAssigned
    }

    fn query(&self, resource_id_name: &'static str) -> Option<(&'static str, String)> {
        match self {
            Self::SystemAssigned => None,
            Self::ClientId(id) => Some(("client_id", id.to_string())),
            Self::ObjectId(id) => Some(("object_id", id.to_string())),
            Self::ResourceId(id) => Some((resource_id_name, id.clone())),
        }
    }
}

impl fmt::Display for Selector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::SystemAssigned => f.write_str("the system-assigned identity"),
            Self::ClientId(id) => write!(f, "the identity with client id {id}"),
            Self::ObjectId(id) => write!(f, "the identity with object id {id}"),
            Self::ResourceId(id) => write!(f, "the identity {id}"),
        }
    }
}

/// A token request to the metadata service at `base` (scheme, host and port).
#[must_use]
pub fn imds_request(base: &str, resource: &Resource, selector: &Selector) -> HttpRequest {
    let url = format!("{}{IMDS_PATH}", base.trim_end_matches('/'));
    let query = [("api-version", IMDS_API_VERSION.to_owned()), ("resource", resource.as_str().to_owned())];
    HttpRequest::get(with_query(&url, query.into_iter().chain(selector.query("msi_res_id")))).header("metadata", "true")
}

/// A token request of App Service, Functions and Container Apps. `header` is the value of `IDENTITY_HEADER`.
#[must_use]
pub fn app_service_request(endpoint: &str, header: &Secret, resource: &Resource, selector: &Selector) -> HttpRequest {
    let query = [("api-version", APP_SERVICE_API_VERSION.to_owned()), ("resource", resource.as_str().to_owned())];
    HttpRequest::get(with_query(endpoint, query.into_iter().chain(selector.query("mi_res_id"))))
        .header("x-identity-header", header.expose())
}

/// `url` with query parameters added.
pub fn with_query(url: &str, parameters: impl IntoIterator<Item = (&'static str, String)>) -> String {
    let mut query = form_urlencoded::Serializer::new(String::new());
    query.extend_pairs(parameters);
    let separator = if url.contains('?') { '&' } else { '?' };
    format!("{url}{separator}{}", query.finish())
}

/// Reads a reply of any managed-identity endpoint that was received at `now`.
///
/// # Errors
/// What the endpoint refused, with its words, or a success that holds no token.
pub fn parse_reply(reply: &HttpReply, now: Timestamp) -> Result<AccessToken, Fault> {
    let fields: Option<Map<String, Value>> = serde_json::from_slice(&reply.body).ok();
    if reply.status != 200 {
        return Err(refusal(reply, &fields.unwrap_or_default(), now));
    }
    let token = fields.as_ref().and_then(|fields| fields.get("access_token")?.as_str()).filter(|text| !text.is_empty());
    let (Some(fields), Some(token)) = (&fields, token) else {
        return Err(Fault::new(
            Whose::Provider,
            format!("the identity endpoint's reply ({} bytes) holds no access token", reply.body.len()),
            "Check that the configured endpoint is a managed-identity endpoint and no proxy answers in its place.",
        )
        .code(Code::Entrant("reply_unusable"))
        .code(Code::Http(200)));
    };
    Ok(AccessToken { secret: Secret::from(token), lifetime: lifetime(fields, reply, now) })
}

/// `expires_on` is a moment by the endpoint's clock, so it is measured from the endpoint's `Date`, from the end
/// of that second: both are cut to whole seconds, and a token of a few seconds must not be believed in beyond
/// its end. `expires_in` of a cached token may count from its issue. The shorter of the two is certain.
fn lifetime(fields: &Map<String, Value>, reply: &HttpReply, now: Timestamp) -> Lifetime {
    let span = seconds::span(fields.get("expires_in")).map(Duration::from_secs);
    let there = http_date::date(reply).map_or(now, |date| date + Duration::from_secs(1));
    let until = seconds::moment(fields.get("expires_on")).map(|end| there.until(end));
    let left = match (span, until) {
        (Some(span), Some(until)) => span.min(until),
        (Some(one), None) | (None, Some(one)) => one,
        (None, None) => LIFE_WHEN_UNSAID,
    };
    let refresh = seconds::span(fields.get("refresh_in")).map(Duration::from_secs);
    let refresh = refresh.filter(|refresh| !refresh.is_zero() && *refresh < left);
    Lifetime { received: now, refresh_at: refresh.map(|refresh| now + refresh), expires: now + left }
}

fn refusal(reply: &HttpReply, fields: &Map<String, Value>, now: Timestamp) -> Fault {
    let nested = fields.get("error").and_then(Value::as_object).unwrap_or(fields);
    let text = |names: [&str; 3]| {
        let found = names.iter().find_map(|name| nested.get(*name)?.as_str()).unwrap_or_default();
        quoted(found)
    };
    let (error, said) = (text(["error", "code", "Code"]), text(["error_description", "message", "Message"]));
    let status = reply.status;
    let wait = http_date::retry_after(reply, now);
    // Both endpoints report an identity that is not assigned as a bare 400: IMDS as `invalid_request`
    // ("Identity not found"), App Service without any code. A wrong resource has a code of its own.
    let unknown_identity = status == 400 && (error.is_empty() || error == "invalid_request");
    let (whose, what, fix, retry) = match status {
        400 if unknown_identity => (
            Whose::Configuration,
            "this host has no such managed identity",
            "Assign the identity to this host (Identity > User assigned), and check that \
             MANAGED_IDENTITY_CLIENT_ID is its client id: `az identity show -n NAME -g GROUP --query clientId`. \
             An assignment takes a minute to arrive.",
            Retry::Whenever,
        ),
        400 => (
            Whose::Configuration,
            "the identity endpoint refused the request",
            "Check the resource, and that the identity named is assigned to this host.",
            Retry::Whenever,
        ),
        401 | 403 => (
            Whose::Configuration,
            "the identity endpoint refused access",
            "Do not set IDENTITY_ENDPOINT and IDENTITY_HEADER yourself, and send no requests through a proxy.",
            Retry::Whenever,
        ),
        404 => (
            Whose::Provider,
            "the identity endpoint is not ready, or has no such path",
            "Wait; if it lasts, check that this host has a managed identity and the endpoint's address is right.",
            Retry::Whenever,
        ),
        410 => (
            Whose::Provider,
            "the identity endpoint is being updated",
            "Wait; this passes within 70 seconds.",
            Retry::Whenever,
        ),
        429 => (Whose::Provider, "the identity endpoint is throttling", "Wait.", Retry::Whenever),
        300..400 => (
            Whose::Network,
            "the identity endpoint answered with a redirect, which is never followed",
            "Check the endpoint's address, and that no proxy or portal answers in its place.",
            Retry::Whenever,
        ),
        _ => (Whose::Provider, "the identity endpoint failed", "Wait; if it lasts, restart the host.", Retry::Whenever),
    };
    let what = if said.is_empty() { format!("{what} ({status})") } else { format!("{what} ({status}): {said}") };
    let mut fault = Fault::new(whose, what, fix).retry(wait.map_or(retry, Retry::After));
    if !error.is_empty() {
        fault = fault.code(Code::ManagedIdentity(error));
    }
    if unknown_identity {
        fault = fault.code(Code::Entrant("identity_not_found"));
    }
    fault.code(Code::Http(status))
}
