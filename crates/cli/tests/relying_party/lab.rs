//! An emulator, a clock to turn by hand, our client over the host's own transport, and a person who signs in.

use std::sync::Arc;

use entrant_confidential::{Callback, ConfidentialClient, ConfidentialConfig, SignInFlow, SignInRequest, SignedIn};
use entrant_credential::sources::managed_identity;
use entrant_credential::{ClientAuth, Keeper, KeeperOptions, ManagedIdentityAssertion, Selector};
use entrant_emulator::{Emulator, Endpoint, Facts, Running, Seed};
use entrant_host::{DialPolicy, Folder, HostConfig};
use entrant_proto::oauth::Authority;
use entrant_testkit::{ManualClock, MapEnv};
use entrant_types::emulation::World;
use entrant_types::outside::{HttpReply, HttpRequest};
use entrant_types::{Fault, Guid, Outside, Resource, Scope, Secret, Timestamp};
use url::Url;

use crate::module::Module;

/// The registered redirect URI; for localhost the port does not count.
pub(crate) const REDIRECT: &str = "http://localhost:5000/getAToken";

/// One emulator and one client.
pub(crate) struct Lab {
    pub(crate) emulator: Running,
    pub(crate) facts: Facts,
    pub(crate) outside: Outside,
    pub(crate) client: ConfidentialClient,
    _ca: Folder,
}

/// Certificates are checked with the system's clock, so the test's clock begins there.
fn real_now() -> Timestamp {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
    Timestamp::from_secs(i64::try_from(since.as_secs()).unwrap())
}

impl Lab {
    pub(crate) async fn new() -> Self {
        Self::seeded(Seed::default()).await
    }

    pub(crate) async fn seeded(seed: Seed) -> Self {
        let clock = ManualClock::at(real_now());
        let entropy = Arc::new(entrant_host::OsEntropy);
        let emulator = Emulator::start(seed, clock.clone(), entropy.clone(), real_now()).await.unwrap();
        let facts = emulator.facts();

        let mut name = [0; 16];
        entrant_types::Entropy::fill(entropy.as_ref(), &mut name);
        let folder = format!("entrant-relying-party-{}", Guid::from_bytes(name));
        let folder = Folder::temporary(&std::env::temp_dir(), &folder).unwrap();
        let ca_file = folder.path().join("ca.pem");
        std::fs::write(&ca_file, &facts.ca_pem).unwrap();
        let config = HostConfig { ca_file: Some(ca_file), dial: DialPolicy::LoopbackOnly, lapse: None };
        let mut outside = entrant_host::outside(config).unwrap();
        outside.clock = clock.clone();
        let header = facts.identity_header.expose();
        let env = [("IDENTITY_ENDPOINT", facts.identity_endpoint.as_str()), ("IDENTITY_HEADER", header)];
        outside.env = Arc::new(MapEnv::of(&env));

        let client = client(&facts, &outside);
        Self { emulator, facts, outside, client, _ca: folder }
    }

    /// Puts the module's rule in force, through the control API as any language would.
    pub(crate) async fn set(&self, module: &Module) {
        if module.rule.is_empty() {
            return;
        }
        assert_eq!(self.control("faults", module.rule).await.status, 201, "{}", module.rule);
    }

    /// Makes a new signing key the active one.
    pub(crate) async fn rotate(&self) {
        assert_eq!(self.control("keys", r#"{"action":"rotate"}"#).await.status, 204);
    }

    async fn control(&self, path: &str, json: &str) -> HttpReply {
        let url = format!("{}control/{path}", self.facts.console_url);
        let mut request = HttpRequest::post_form(url, Secret::from(json));
        request.headers = vec![("content-type".to_owned(), "application/json".to_owned())];
        self.outside.http.send(request).await.unwrap()
    }

    pub(crate) fn calls(&self, endpoint: Endpoint) -> u64 {
        self.emulator.counters().get(endpoint)
    }

    pub(crate) fn scope(&self) -> Scope {
        Scope::new(self.facts.api_scope.clone().unwrap())
    }

    /// The first half of a sign-in, and the person's part: the flow and what comes back from the page.
    pub(crate) async fn authorize(&self) -> Result<(SignInFlow, Callback), Fault> {
        let scopes = vec![self.scope()];
        let request = SignInRequest { redirect_uri: REDIRECT.to_owned(), scopes, ..SignInRequest::default() };
        let (url, flow) = self.client.begin_sign_in(request).await?;
        let page = HttpRequest::post_form(url.as_str(), Secret::from("user=alice%40contoso.example"));
        let reply = self.outside.http.send(page).await.unwrap();
        assert_eq!(reply.status, 302, "{}", String::from_utf8_lossy(&reply.body));
        let back = Url::parse(reply.header("location").unwrap()).unwrap();
        Ok((flow, Callback::parse(back.query().unwrap())?))
    }

    /// A whole sign-in of Alice.
    pub(crate) async fn sign_in(&self) -> Result<SignedIn, Fault> {
        let (flow, callback) = self.authorize().await?;
        self.client.redeem(flow, callback).await
    }
}

/// Our client as it is deployed: a managed identity's token proves it.
fn client(facts: &Facts, outside: &Outside) -> ConfidentialClient {
    let identity = managed_identity(Selector::ClientId(facts.managed_identity_client_id.unwrap()), outside);
    let scope = Scope::new(Resource::TOKEN_EXCHANGE);
    let (keeper, driver) = Keeper::new(identity, scope, KeeperOptions::default(), outside);
    tokio::spawn(driver.run());
    let auth = ClientAuth::Assertion(Arc::new(ManagedIdentityAssertion::new(keeper)));
    let authority = Authority::from_url(&facts.authority).unwrap();
    let config = ConfidentialConfig::new(authority, facts.client_id.unwrap(), auth, World::Emulator);
    ConfidentialClient::new(config, outside.clone()).unwrap()
}
