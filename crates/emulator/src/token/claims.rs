//! The claims of each kind of token (Microsoft's access-token and id-token claims references).

use std::time::Duration;

use aws_lc_rs::digest::{SHA256, digest};
use entrant_proto::jose::to_base64url;
use entrant_types::emulation::EMULATOR_CLAIM;
use entrant_types::{Entropy, ObjectId, TenantId, Timestamp};
use serde_json::{Map, Value, json};

use super::Issuers;
use crate::directory::{App, Identity, Person, Target};
use crate::seed::IdentityKind;

/// Entra back-dates `iat` and `nbf` by five minutes, against clock skew: `exp - iat` is not the life.
const BACK_DATED: Duration = Duration::from_secs(300);
/// From here on the groups claim is replaced by a pointer (JWT limit in `access-token-claims-reference.md`).
const GROUP_LIMIT: usize = 200;

/// How the client of a token proved itself: `appidacr` / `azpacr`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum AppAuth {
    /// 0: public client.
    None,
    /// 1: client secret.
    Secret,
    /// 2: certificate or federated credential.
    Assertion,
}

impl AppAuth {
    fn code(self) -> &'static str {
        match self {
            Self::None => "0",
            Self::Secret => "1",
            Self::Assertion => "2",
        }
    }
}

/// What a person granted to a client.
#[derive(Clone, Debug)]
pub(crate) struct UserGrant<'a> {
    pub(crate) person: &'a Person,
    pub(crate) client: &'a App,
    pub(crate) auth: AppAuth,
    pub(crate) session: &'a str,
    pub(crate) signed_in: Timestamp,
    /// Whether a second factor was used.
    pub(crate) mfa: bool,
}

/// Makes claims at one moment.
pub(crate) struct ClaimsMaker<'a> {
    pub(crate) issuers: &'a Issuers,
    pub(crate) entropy: &'a dyn Entropy,
    pub(crate) now: Timestamp,
    pub(crate) life: Duration,
}

type Claims = Map<String, Value>;

impl ClaimsMaker<'_> {
    /// A managed identity's token: what IMDS and App Service hand out.
    ///
    /// `host` is the resource id of the machine that asks.
    pub(crate) fn managed_identity(&self, identity: &Identity, host: &str, target: &Target) -> Claims {
        let mut claims = self.base(identity.tenant, target);
        let client = identity.client_id.to_string();
        if target.version == 2 {
            claims.insert("azp".into(), client.into());
            claims.insert("azpacr".into(), "2".into());
        } else {
            claims.insert("appid".into(), client.into());
            claims.insert("appidacr".into(), "2".into());
            claims.insert("idp".into(), self.issuers.v1(identity.tenant).into());
            claims.insert("xms_mirid".into(), identity.resource_id.clone().into());
            if identity.kind == IdentityKind::User {
                claims.insert("xms_az_rid".into(), host.into());
            }
        }
        claims.insert("idtyp".into(), "app".into());
        self.principal(&mut claims, identity.principal);
        claims
    }

    /// An app-only token: client credentials.
    pub(crate) fn app_only(
        &self,
        app: &App,
        tenant: TenantId,
        target: &Target,
        auth: AppAuth,
        roles: &[String],
    ) -> Claims {
        let mut claims = self.base(tenant, target);
        self.client(&mut claims, target, app, auth);
        if target.version == 1 {
            claims.insert("idp".into(), self.issuers.v1(tenant).into());
            claims.insert("idtyp".into(), "app".into());
        }
        if !roles.is_empty() {
            claims.insert("roles".into(), json!(roles));
        }
        self.principal(&mut claims, app.principal);
        claims
    }

    /// A person's access token for an API.
    pub(crate) fn delegated(
        &self,
        grant: &UserGrant<'_>,
        target: &Target,
        api: Option<&App>,
        scopes: &[String],
    ) -> Claims {
        let person = grant.person;
        let mut claims = self.base(person.tenant, target);
        self.client(&mut claims, target, grant.client, grant.auth);
        claims.insert("scp".into(), scopes.join(" ").into());
        claims.insert("oid".into(), person.oid.to_string().into());
        claims.insert("sub".into(), pairwise(person.oid, &target.audience).into());
        claims.insert("name".into(), person.name.clone().into());
        if target.version == 2 {
            claims.insert("preferred_username".into(), person.upn.clone().into());
        } else {
            claims.insert("acr".into(), "1".into());
            claims.insert("amr".into(), if grant.mfa { json!(["pwd", "mfa"]) } else { json!(["pwd"]) });
            claims.insert("upn".into(), person.upn.clone().into());
            claims.insert("unique_name".into(), person.upn.clone().into());
            claims.insert("ipaddr".into(), "127.0.0.1".into());
        }
        claims.insert("sid".into(), grant.session.into());
        if let Some(api) = api {
            let roles = api.roles_of(person);
            if !roles.is_empty() {
                claims.insert("roles".into(), json!(roles));
            }
            groups(&mut claims, api, person);
        }
        claims
    }

    /// An ID token (v2).
    pub(crate) fn id_token(&self, grant: &UserGrant<'_>, nonce: Option<&str>, profile: bool, email: bool) -> Claims {
        let person = grant.person;
        let audience = grant.client.client_id.to_string();
        let mut claims = self.base(person.tenant, &Target { audience: audience.clone(), version: 2, app: None });
        claims.insert("sub".into(), pairwise(person.oid, &audience).into());
        if let Some(nonce) = nonce {
            claims.insert("nonce".into(), nonce.into());
        }
        if profile {
            claims.insert("oid".into(), person.oid.to_string().into());
            claims.insert("name".into(), person.name.clone().into());
            claims.insert("preferred_username".into(), person.upn.clone().into());
        }
        if email {
            claims.insert("email".into(), person.upn.clone().into());
        }
        claims.insert("sid".into(), grant.session.into());
        claims.insert("login_hint".into(), login_hint(person).into());
        claims.insert("auth_time".into(), grant.signed_in.secs().into());
        let roles = grant.client.roles_of(person);
        if !roles.is_empty() {
            claims.insert("roles".into(), json!(roles));
        }
        groups(&mut claims, grant.client, person);
        claims
    }

    fn base(&self, tenant: TenantId, target: &Target) -> Claims {
        let mut claims = Map::new();
        let issuer = if target.version == 2 { self.issuers.v2(tenant) } else { self.issuers.v1(tenant) };
        let issued = (self.now - BACK_DATED).secs();
        claims.insert("aud".into(), target.audience.clone().into());
        claims.insert("iss".into(), issuer.into());
        claims.insert("iat".into(), issued.into());
        claims.insert("nbf".into(), issued.into());
        claims.insert("exp".into(), (self.now + self.life).secs().into());
        // One draw for the three opaque values.
        let mut random = [0; 58];
        self.entropy.fill(&mut random);
        claims.insert("aio".into(), to_base64url(&random[..24]).into());
        claims.insert("rh".into(), format!("1.{}.", to_base64url(&random[24..42])).into());
        claims.insert("tid".into(), tenant.to_string().into());
        claims.insert("uti".into(), to_base64url(&random[42..]).into());
        claims.insert("ver".into(), if target.version == 2 { "2.0" } else { "1.0" }.into());
        claims.insert(EMULATOR_CLAIM.into(), true.into());
        claims
    }

    fn client(&self, claims: &mut Claims, target: &Target, app: &App, auth: AppAuth) {
        let (id, acr) = if target.version == 2 { ("azp", "azpacr") } else { ("appid", "appidacr") };
        claims.insert(id.into(), app.client_id.to_string().into());
        claims.insert(acr.into(), auth.code().into());
    }

    fn principal(&self, claims: &mut Claims, principal: ObjectId) {
        claims.insert("oid".into(), principal.to_string().into());
        claims.insert("sub".into(), principal.to_string().into());
    }
}

/// A person's `sub`: another one for every audience.
fn pairwise(person: ObjectId, audience: &str) -> String {
    to_base64url(digest(&SHA256, format!("{person} at {audience}").as_bytes()).as_ref())
}

/// The opaque `login_hint` claim, to be handed back as `logout_hint`.
pub(crate) fn login_hint(person: &Person) -> String {
    format!("O.{}", to_base64url(person.oid.to_string().as_bytes()))
}

/// `client_info`: base64url of `{"uid","utid"}`, from which MSAL makes the home account id.
pub(crate) fn client_info(person: &Person) -> String {
    let text = json!({ "uid": person.oid.to_string(), "utid": person.tenant.to_string() }).to_string();
    to_base64url(text.as_bytes())
}

fn groups(claims: &mut Claims, app: &App, person: &Person) {
    if !app.group_claims || person.groups.is_empty() {
        return;
    }
    if person.groups.len() > GROUP_LIMIT {
        let endpoint = format!("https://graph.windows.net/{}/users/{}/getMemberObjects", person.tenant, person.oid);
        claims.insert("_claim_names".into(), json!({ "groups": "src1" }));
        claims.insert("_claim_sources".into(), json!({ "src1": { "endpoint": endpoint } }));
    } else {
        let ids: Vec<String> = person.groups.iter().map(ToString::to_string).collect();
        claims.insert("groups".into(), json!(ids));
    }
}
