//! A request's `scope`: which resource, which of its scopes, which OpenID ones.

use crate::directory::{Directory, Target};
use crate::refusal::Refusal;

/// A parsed `scope` parameter.
#[derive(Clone, Debug)]
pub(super) struct Scopes {
    pub(super) openid: bool,
    pub(super) profile: bool,
    pub(super) email: bool,
    pub(super) offline: bool,
    pub(super) target: Target,
    /// As the client wrote them, resource prefix included.
    pub(super) written: Vec<String>,
    /// Short names, as in `scp`.
    pub(super) names: Vec<String>,
}

const GRAPH: &str = "https://graph.microsoft.com";

/// Reads `scope` of a delegated request.
pub(super) fn delegated(directory: &Directory, text: &str) -> Result<Scopes, Refusal> {
    let mut scopes = Scopes {
        openid: false,
        profile: false,
        email: false,
        offline: false,
        target: Target { audience: String::new(), version: 1, app: None },
        written: Vec::new(),
        names: Vec::new(),
    };
    let mut resource: Option<String> = None;
    for scope in text.split_ascii_whitespace() {
        match scope {
            "openid" => scopes.openid = true,
            "profile" => scopes.profile = true,
            "email" => scopes.email = true,
            "offline_access" => scopes.offline = true,
            _ => {
                // A scope without a resource is Graph's.
                let (owner, name) = scope.rsplit_once('/').unwrap_or((GRAPH, scope));
                if resource.as_deref().is_some_and(|other| other != owner) {
                    return Err(Refusal::new(
                        28000,
                        format!("The scope '{text}' names more than one resource."),
                        "Ask for one resource at a time; acquire the other token silently afterwards.",
                    ));
                }
                resource = Some(owner.to_owned());
                scopes.written.push(scope.to_owned());
                scopes.names.push(name.to_owned());
            }
        }
    }
    let owner = resource.unwrap_or_else(|| GRAPH.to_owned());
    scopes.target = directory.resource(&owner).ok_or_else(|| unknown(&owner, directory))?;
    if let Some(api) = scopes.target.app.and_then(|index| directory.apps.get(index)) {
        let exposed = api.api.as_ref().map(|api| api.scopes.clone()).unwrap_or_default();
        if scopes.names.iter().any(|name| name == ".default") {
            scopes.names.clone_from(&exposed);
        } else if let Some(odd) = scopes.names.iter().find(|name| !exposed.contains(name)) {
            return Err(Refusal::new(
                70011,
                format!("The scope '{odd}' is not exposed by '{}'.", api.name),
                format!("Ask for one of: {}.", exposed.join(", ")),
            ));
        }
    } else if scopes.names.is_empty() {
        scopes.names = ["openid", "profile", "email"].map(str::to_owned).to_vec();
    }
    Ok(scopes)
}

/// Reads `scope` of a client-credentials request: one resource with `/.default`.
pub(super) fn app_only(directory: &Directory, text: &str) -> Result<Target, Refusal> {
    let scopes: Vec<&str> = text
        .split_ascii_whitespace()
        .filter(|scope| !matches!(*scope, "openid" | "profile" | "offline_access"))
        .collect();
    let [scope] = scopes.as_slice() else {
        return Err(Refusal::new(
            if scopes.is_empty() { 900_144 } else { 28000 },
            format!("The scope '{text}' does not name one resource."),
            "Ask for one resource, as RESOURCE/.default.",
        ));
    };
    let Some(resource) = scope.strip_suffix("/.default") else {
        return Err(Refusal::new(
            1_002_012,
            format!("The scope '{scope}' is not valid for client credentials: it must end in /.default."),
            format!("Ask for '{}/.default'.", scope.rsplit_once('/').map_or(*scope, |(owner, _)| owner)),
        ));
    };
    directory.resource(resource).ok_or_else(|| unknown(resource, directory))
}

pub(super) fn unknown(resource: &str, directory: &Directory) -> Refusal {
    let known: Vec<String> =
        directory.apps.iter().filter_map(|app| app.api.as_ref().map(|api| format!("'{}'", api.uri))).collect();
    Refusal::new(
        500_011,
        format!("The resource principal named '{resource}' was not found in the tenant."),
        format!(
            "Check the scope. APIs of this tenant: {}; Microsoft's own: https://redis.azure.com and others.",
            known.join(", ")
        ),
    )
}
