//! Tokens without the person: cache, renewal, races between requests and between replicas, and every failure.

#![expect(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test may stop at a broken promise")]

mod support;

use std::sync::Arc;
use std::time::Duration;

use entrant_confidential::store_suite::{self, Harness};
use entrant_confidential::{
    AccountTokens, Acquired, ConfidentialClient, MemoryTokenStore, Origin, SilentError, SilentRequest, TokenStore,
};
use entrant_types::{BoxFuture, Scope};
use serde_json::json;
use support::*;

const HOUR: Duration = Duration::from_secs(3600);

/// A session as the caller keeps it.
struct Session {
    store: MemoryTokenStore,
    client: ConfidentialClient,
}

impl Session {
    async fn new(entra: &Entra) -> Self {
        let (client, store) = (entra.client(), MemoryTokenStore::new());
        store.put("alice", sign_in(entra, &client).await.unwrap().tokens).unwrap();
        entra.state().posts.clear();
        Self { store, client }
    }

    fn partition(&self) -> Arc<dyn TokenStore> {
        Arc::new(self.store.partition("alice"))
    }

    async fn acquire(&self) -> Result<Acquired, SilentError> {
        self.acquire_for(SilentRequest::from(&Scope::new(API))).await
    }

    async fn acquire_for(&self, request: SilentRequest) -> Result<Acquired, SilentError> {
        self.client.acquire_silent(self.partition().as_ref(), request).await
    }

    async fn tokens(&self) -> AccountTokens {
        AccountTokens::clone(&self.partition().load().await.unwrap().unwrap().tokens)
    }

    fn spawn(&self, client: &ConfidentialClient) -> tokio::task::JoinHandle<Result<Acquired, SilentError>> {
        let (client, partition) = (client.clone(), self.partition());
        tokio::spawn(async move { client.acquire_silent(partition.as_ref(), &Scope::new(API)).await })
    }
}

fn interaction(error: SilentError) -> entrant_confidential::Interaction {
    let SilentError::Interaction(interaction) = error else { panic!("{error:?}") };
    *interaction
}

#[tokio::test]
async fn a_warm_token_costs_no_request() {
    let entra = Entra::new();
    let session = Session::new(&entra).await;
    let requests = entra.stage.http.count();
    for _ in 0..100 {
        let acquired = session.acquire().await.unwrap();
        assert_eq!((acquired.token.secret.expose(), acquired.origin), ("at-2", Origin::Cache));
    }
    assert_eq!(entra.stage.http.count(), requests);
}

#[tokio::test]
async fn ten_parallel_requests_on_an_expiring_session_post_once() {
    let entra = Entra::new();
    let session = Session::new(&entra).await;
    entra.stage.clock.advance(HOUR);
    entra.hold();
    let calls: Vec<_> = (0..10).map(|_| session.spawn(&session.client)).collect();
    entra.stage.http.reached(entra.stage.http.count() + 1).await;
    entra.release();
    for call in calls {
        assert_eq!(call.await.unwrap().unwrap().token.secret.expose(), "at-3");
    }
    assert_eq!(entra.posts(), 1);
}

#[tokio::test]
async fn a_failure_is_shared_by_those_who_waited_for_it() {
    let entra = Entra::new();
    let session = Session::new(&entra).await;
    entra.stage.clock.advance(HOUR);
    entra.refuse(503, json!({}));
    entra.hold();
    let calls: Vec<_> = (0..10).map(|_| session.spawn(&session.client)).collect();
    entra.stage.http.reached(entra.stage.http.count() + 1).await;
    for _ in 0..100 {
        tokio::task::yield_now().await;
    }
    entra.release();
    for call in calls {
        assert!(call.await.unwrap().unwrap_err().is_transient());
    }
    assert_eq!(entra.posts(), 1);
}

#[tokio::test]
async fn every_resource_has_a_token_of_its_own() {
    let entra = Entra::new();
    let session = Session::new(&entra).await;
    let graph = || SilentRequest::from(&Scope::new("User.Read"));
    let first = session.acquire_for(graph()).await.unwrap();
    assert_eq!(first.origin, Origin::Refreshed);
    assert_eq!(entra.last_post()["scope"], "User.Read openid profile offline_access");
    assert_eq!(session.acquire_for(graph()).await.unwrap().token, first.token);
    assert_eq!(session.acquire().await.unwrap().token.secret.expose(), "at-2", "the other one is still there");
    // A scope that was not granted yet is asked for; one that was granted is not.
    session.acquire_for(SilentRequest::from(&Scope::new("Mail.Read"))).await.unwrap();
    session.acquire_for(SilentRequest::from(&Scope::new("mail.read"))).await.unwrap();
    assert_eq!(entra.posts(), 2);
}

#[tokio::test]
async fn a_token_is_renewed_ahead_of_its_end_with_the_newest_refresh_token() {
    let entra = Entra::new();
    let session = Session::new(&entra).await;
    for renewal in 0..5 {
        entra.stage.clock.advance(HOUR * 3 / 4);
        let acquired = session.acquire().await.unwrap();
        assert_eq!(acquired.origin, Origin::Refreshed, "{renewal}");
        assert_eq!(entra.last_post()["refresh_token"], format!("rt-{}", renewal + 2));
    }
    assert_eq!(entra.posts(), 5);
}

#[tokio::test]
async fn refresh_in_is_honoured() {
    let entra = Entra::new();
    entra.state().reply = Some(json!({"expires_in": 86400, "refresh_in": 43200}));
    let session = Session::new(&entra).await;
    entra.stage.clock.advance(Duration::from_secs(43199));
    assert_eq!(session.acquire().await.unwrap().origin, Origin::Cache);
    entra.stage.clock.advance(Duration::from_secs(1));
    assert_eq!(session.acquire().await.unwrap().origin, Origin::Refreshed);
}

#[tokio::test]
async fn a_token_that_still_serves_is_served_while_somebody_renews_it() {
    let entra = Entra::new();
    let session = Session::new(&entra).await;
    entra.stage.clock.advance(HOUR * 3 / 4);
    entra.hold();
    let renewing = session.spawn(&session.client);
    entra.stage.http.reached(entra.stage.http.count() + 1).await;
    // The other replica sees the lease, this one its own turnstile.
    for client in [session.client.clone(), entra.replica(2)] {
        let served = session.spawn(&client).await.unwrap().unwrap();
        assert_eq!((served.token.secret.expose(), served.origin), ("at-2", Origin::Cache));
    }
    entra.release();
    assert_eq!(renewing.await.unwrap().unwrap().origin, Origin::Refreshed);
    assert_eq!(entra.posts(), 1);
}

#[tokio::test]
async fn a_failed_renewal_never_displaces_a_valid_token() {
    for (status, body) in [
        (503, json!({})),
        (429, json!({"error": "temporarily_unavailable"})),
        (400, refusal("invalid_grant", 70008, json!({}))),
        (401, refusal("invalid_client", 7_000_215, json!({}))),
        (200, json!({"nothing": true})),
    ] {
        let entra = Entra::new();
        let session = Session::new(&entra).await;
        entra.stage.clock.advance(HOUR * 3 / 4);
        entra.refuse(status, body);
        let acquired = session.acquire().await.unwrap();
        assert_eq!((acquired.token.secret.expose(), acquired.origin), ("at-2", Origin::Cache), "{status}");
        assert!(acquired.renewal_failed.is_some(), "the caller is told");
        for _ in 0..10 {
            session.acquire().await.unwrap();
        }
        assert_eq!(entra.posts(), 1, "a failing endpoint is not asked by every request");
        entra.stage.clock.advance(Duration::from_secs(30));
        entra.accept();
        assert_eq!(session.acquire().await.unwrap().origin, Origin::Refreshed, "{status}");
    }
}

#[tokio::test]
async fn retry_after_is_kept_and_a_refusal_is_never_cached() {
    let entra = Entra::new();
    let session = Session::new(&entra).await;
    entra.stage.clock.advance(HOUR);
    entra.refuse(429, json!({}));
    if let Some(reply) = &mut entra.state().refusal {
        reply.headers.push(("retry-after".to_owned(), "7".to_owned()));
    }
    for _ in 0..5 {
        assert!(session.acquire().await.unwrap_err().is_transient());
    }
    assert_eq!(entra.posts(), 1);
    entra.stage.clock.advance(Duration::from_secs(7));
    entra.refuse(400, refusal("invalid_scope", 70011, json!({})));
    for _ in 0..5 {
        let error = session.acquire().await.unwrap_err();
        assert!(matches!(error, SilentError::Refused(_)), "{error:?}");
    }
    assert_eq!(entra.posts(), 6, "each was really sent");
    entra.accept();
    session.acquire().await.unwrap();
}

#[tokio::test]
async fn what_the_person_must_do_is_told_as_data() {
    let entra = Entra::new();
    let session = Session::new(&entra).await;
    entra.stage.clock.advance(HOUR);
    entra.refuse(400, refusal("invalid_grant", 65001, json!({"suberror": "consent_required"})));
    let consent = interaction(session.acquire().await.unwrap_err());
    assert!(consent.consent && consent.fault.is("interaction_required"));
    assert_eq!(consent.scopes, [Scope::new(API)]);
    entra.refuse(400, refusal("interaction_required", 50076, json!({"claims": r#"{"access_token":{"x":1}}"#})));
    let mfa = interaction(session.acquire().await.unwrap_err());
    assert_eq!((mfa.consent, mfa.claims.as_deref()), (false, Some(r#"{"access_token":{"x":1}}"#)));
    entra.refuse(400, refusal("invalid_grant", 70008, json!({})));
    assert!(!interaction(session.acquire().await.unwrap_err()).consent);
    // Not assigned: no sign-in will help, an administrator must.
    entra.refuse(400, refusal("invalid_grant", 50105, json!({})));
    assert!(matches!(session.acquire().await.unwrap_err(), SilentError::Refused(_)));
    entra.refuse(401, refusal("invalid_client", 700_213, json!({})));
    assert!(matches!(session.acquire().await.unwrap_err(), SilentError::Refused(_)));
}

#[tokio::test]
async fn a_session_without_a_refresh_token_ends_with_its_access_token() {
    let entra = Entra::new();
    entra.state().reply = Some(json!({"refresh_token": null}));
    let session = Session::new(&entra).await;
    entra.stage.clock.advance(HOUR * 3 / 4);
    assert_eq!(session.acquire().await.unwrap().origin, Origin::Cache, "there is nothing to renew it with");
    entra.stage.clock.advance(HOUR);
    let fault = interaction(session.acquire().await.unwrap_err()).fault;
    assert!(fault.is("no_refresh_token"));
    assert_eq!(entra.posts(), 0);
}

#[tokio::test]
async fn a_claims_challenge_is_met_once_for_all_who_got_it() {
    let entra = Entra::new();
    let session = Session::new(&entra).await;
    assert!(session.acquire().await.unwrap().origin == Origin::Cache);
    let header =
        "Bearer error=\"insufficient_claims\", claims=\"eyJhY2Nlc3NfdG9rZW4iOnsibmJmIjp7InZhbHVlIjoiMSJ9fX0=\"";
    let demand = entrant_confidential::claims::insufficient_claims(header).unwrap();
    entra.hold();
    let calls: Vec<_> = (0..10)
        .map(|_| {
            let (client, partition) = (session.client.clone(), session.partition());
            let request = SilentRequest::new([Scope::new(API)]).with_claims(demand.clone());
            tokio::spawn(async move { client.acquire_silent(partition.as_ref(), request).await })
        })
        .collect();
    entra.stage.http.reached(entra.stage.http.count() + 1).await;
    for _ in 0..100 {
        tokio::task::yield_now().await;
    }
    entra.release();
    for call in calls {
        assert_eq!(call.await.unwrap().unwrap().token.secret.expose(), "at-3");
    }
    assert_eq!(entra.posts(), 1);
    let sent = entra.last_post()["claims"].clone();
    assert!(sent.contains("nbf") && sent.contains("CP1"), "{sent}");
    assert_eq!(session.acquire().await.unwrap().token.secret.expose(), "at-3", "the new one is kept");
}

#[tokio::test]
async fn a_renewed_id_token_of_somebody_else_changes_nothing() {
    let entra = Entra::new();
    let session = Session::new(&entra).await;
    entra.stage.clock.advance(HOUR);
    entra.state().id_claims = Some(json!({"sub": "bob-here", "oid": CLIENT}));
    let error = session.acquire().await.unwrap_err();
    assert!(error.fault().is("continuation"), "{error}");
    entra.state().id_claims = None;
    session.acquire().await.unwrap();
    assert_eq!(entra.last_post()["refresh_token"], "rt-2", "nothing of the strange reply was kept");
}

#[tokio::test]
async fn an_account_s_own_tenant_is_asked_where_the_authority_serves_many() {
    let entra = Entra::new();
    let authority = entrant_proto::oauth::Authority::parse(BASE, "common").unwrap();
    let tenants = Some(entrant_validate::Tenants::Any);
    let config = entrant_confidential::ConfidentialConfig { provider: authority.into(), tenants, ..config() };
    let client = ConfidentialClient::new(config, entra.outside(1)).unwrap();
    let store = MemoryTokenStore::new();
    store.put("alice", sign_in(&entra, &client).await.unwrap().tokens).unwrap();
    entra.stage.clock.advance(HOUR);
    client.acquire_silent(&store.partition("alice"), &Scope::new(API)).await.unwrap();
    let urls = entra.state().urls.clone();
    assert_eq!(urls, [format!("{BASE}/common/oauth2/v2.0/token"), format!("{BASE}/{TENANT}/oauth2/v2.0/token")]);
}

// ---- Between replicas

#[tokio::test]
async fn two_replicas_with_many_requests_each_post_once() {
    let entra = Entra::new();
    let session = Session::new(&entra).await;
    let replicas = [session.client.clone(), entra.replica(2), entra.replica(3), entra.replica(4)];
    entra.stage.clock.advance(HOUR);
    entra.hold();
    let calls: Vec<_> = (0..200).map(|number| session.spawn(&replicas[number % 4])).collect();
    entra.stage.http.reached(entra.stage.http.count() + 1).await;
    entra.stage.clock.sleeper().await;
    entra.release();
    let first = calls.into_iter();
    let running = Arc::clone(&entra.stage.clock);
    let clock = tokio::spawn(async move { running.run_for(Duration::from_secs(2)).await });
    for call in first {
        assert_eq!(call.await.unwrap().unwrap().token.secret.expose(), "at-3");
    }
    clock.await.unwrap();
    assert_eq!(entra.posts(), 1);
    assert!(serde_json::to_value(session.tokens().await).unwrap()["lease"].is_null(), "the lease is given back");
}

#[tokio::test]
async fn whoever_lost_the_lease_cannot_overwrite_newer_tokens() {
    let entra = Entra::new();
    let session = Session::new(&entra).await;
    entra.stage.clock.advance(HOUR);
    // The first replica's request hangs; its lease runs out.
    entra.hold();
    let slow = session.spawn(&session.client);
    entra.stage.http.reached(entra.stage.http.count() + 1).await;
    entra.stage.clock.advance(Duration::from_secs(20));
    // Another replica renews in the meantime (its reply was made later: at-4, rt-4).
    let other = entra.replica(2);
    let second = session.spawn(&other);
    entra.stage.http.reached(entra.stage.http.count() + 1).await;
    entra.release();
    assert_eq!(second.await.unwrap().unwrap().token.secret.expose(), "at-4");
    slow.await.unwrap().unwrap();
    let kept = serde_json::to_value(session.tokens().await).unwrap();
    assert_eq!(kept["refresh_token"], "rt-4", "the stale replica wrote nothing");
    assert_eq!(session.acquire().await.unwrap().token.secret.expose(), "at-4");
}

#[tokio::test]
async fn a_dead_replica_holds_nobody_up_for_long() {
    let entra = Entra::new();
    let session = Session::new(&entra).await;
    entra.stage.clock.advance(HOUR);
    entra.hold();
    let dead = session.spawn(&entra.replica(2));
    entra.stage.http.reached(entra.stage.http.count() + 1).await;
    dead.abort();
    let _ = dead.await;
    entra.release();
    let call = session.spawn(&session.client);
    entra.stage.clock.sleeper().await;
    assert!(!call.is_finished());
    entra.stage.clock.run_for(Duration::from_secs(21)).await;
    call.await.unwrap().unwrap();
}

#[tokio::test]
async fn a_caller_that_goes_away_holds_its_own_replica_up_not_at_all() {
    let entra = Entra::new();
    let session = Session::new(&entra).await;
    entra.stage.clock.advance(HOUR);
    entra.hold();
    let impatient = session.spawn(&session.client);
    entra.stage.http.reached(entra.stage.http.count() + 1).await;
    impatient.abort();
    let _ = impatient.await;
    entra.release();
    assert_eq!(session.acquire().await.unwrap().origin, Origin::Refreshed);
}

#[tokio::test]
async fn signing_out_during_a_renewal_is_final() {
    let entra = Entra::new();
    let session = Session::new(&entra).await;
    entra.stage.clock.advance(HOUR);
    entra.hold();
    let call = session.spawn(&session.client);
    entra.stage.http.reached(entra.stage.http.count() + 1).await;
    session.store.remove("alice");
    entra.release();
    assert!(matches!(call.await.unwrap().unwrap_err(), SilentError::SignedOut(_)));
    assert!(matches!(session.acquire().await.unwrap_err(), SilentError::SignedOut(_)));
    assert!(session.partition().load().await.unwrap().is_none());
}

// ---- The store's own promises

struct Memory(MemoryTokenStore, std::sync::atomic::AtomicUsize);

impl Harness for Memory {
    fn create(&self, tokens: AccountTokens) -> BoxFuture<'_, Arc<dyn TokenStore>> {
        let number = self.1.fetch_add(1, std::sync::atomic::Ordering::Relaxed).to_string();
        self.0.put(&number, tokens).unwrap();
        Box::pin(async move { Arc::new(self.0.partition(number)) as _ })
    }

    fn again<'a>(&'a self, store: &'a dyn TokenStore) -> BoxFuture<'a, Arc<dyn TokenStore>> {
        Box::pin(async move { Arc::new(self.0.partition(store.partition())) as _ })
    }

    fn end<'a>(&'a self, store: &'a dyn TokenStore) -> BoxFuture<'a, ()> {
        self.0.remove(store.partition());
        Box::pin(async {})
    }
}

#[tokio::test]
async fn the_store_in_memory_keeps_every_promise() {
    let harness = Memory(MemoryTokenStore::new(), std::sync::atomic::AtomicUsize::new(0));
    store_suite::check(&harness).await.unwrap();
}
