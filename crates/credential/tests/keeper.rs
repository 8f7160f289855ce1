//! Promises of the keeper, with a real source over a scripted network and a clock in the test's hand.
#![expect(clippy::unwrap_used, clippy::panic, reason = "a test may stop at a broken promise")]

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use entrant_credential::sources::AppService;
use entrant_credential::{Keeper, KeeperOptions, Outcome, Selector, Snapshot, Source};
use entrant_testkit::{Logs, Stage, json_reply, reply};
use entrant_types::outside::{HttpError, HttpReply};
use entrant_types::{BoxFuture, Code, Scope, Secret};
use futures_util::future::join_all;
use serde_json::json;
use tokio::sync::Notify;

const HOUR: Duration = Duration::from_secs(3600);

fn redis() -> Scope {
    Scope::new("https://redis.azure.com/.default")
}

fn stage() -> Stage {
    let stage = Stage::new();
    stage.env.set("IDENTITY_ENDPOINT", "http://127.0.0.1:1/token");
    stage.env.set("IDENTITY_HEADER", "header-of-the-identity-endpoint");
    stage
}

fn app_service(stage: &Stage) -> Arc<dyn Source> {
    Arc::new(AppService::new(Selector::SystemAssigned, &stage.outside()))
}

fn start(stage: &Stage) -> Keeper {
    start_with(app_service(stage), KeeperOptions::default(), stage)
}

fn start_with(source: Arc<dyn Source>, options: KeeperOptions, stage: &Stage) -> Keeper {
    let (keeper, driver) = Keeper::new(source, redis(), options, &stage.outside());
    tokio::spawn(driver.run());
    keeper
}

fn token(name: &str, life: Duration) -> Result<HttpReply, HttpError> {
    Ok(json_reply(200, json!({"access_token": name, "expires_in": life.as_secs().to_string()})))
}

fn name_of(keeper: &Keeper) -> String {
    keeper.current().unwrap().secret.expose().to_owned()
}

#[tokio::test]
async fn sixty_four_cold_callers_share_one_request() {
    let stage = stage();
    stage.http.push(token("first-token", HOUR));
    let keeper = start(&stage);
    let answers = join_all((0..64).map(|_| keeper.token())).await;
    assert!(answers.iter().all(|answer| answer.as_ref().unwrap().secret.expose() == "first-token"));
    assert_eq!(stage.http.count(), 1);
}

#[tokio::test]
async fn sixty_four_cold_callers_share_one_failure() {
    let stage = stage();
    stage.http.push(Ok(reply(500, "")));
    let keeper = start(&stage);
    let answers = join_all((0..64).map(|_| keeper.token())).await;
    assert!(answers.iter().all(|answer| answer.as_ref().unwrap_err().codes == [Code::Http(500)]));
    assert!(keeper.token().await.is_err(), "until the next attempt the failure is the answer, at once");
    assert_eq!(stage.http.count(), 1);
}

#[tokio::test]
async fn a_warm_token_costs_no_request() {
    let stage = stage();
    stage.http.push(token("first-token", HOUR));
    let keeper = start(&stage);
    for _ in 0..1000 {
        keeper.token().await.unwrap();
    }
    assert_eq!(stage.http.count(), 1);
}

#[tokio::test]
async fn a_token_is_refreshed_at_three_quarters_of_its_life() {
    let stage = stage();
    stage.http.push(token("first-token", HOUR));
    let keeper = start(&stage);
    keeper.token().await.unwrap();
    stage.http.push(token("second-token", HOUR));
    stage.clock.run_for(Duration::from_secs(2519)).await;
    assert_eq!(name_of(&keeper), "first-token");
    stage.clock.run_for(Duration::from_secs(182)).await;
    assert_eq!(name_of(&keeper), "second-token");
    assert_eq!(keeper.snapshot().generation, 2);
}

#[tokio::test]
async fn a_failed_refresh_never_displaces_a_valid_token() {
    let stage = stage();
    stage.http.push(token("first-token", HOUR));
    stage.http.handle(|_| Ok(reply(503, "down")));
    let keeper = start(&stage);
    keeper.token().await.unwrap();
    stage.clock.run_for(HOUR - Duration::from_secs(1)).await;
    assert!(stage.http.count() > 5, "it kept trying");
    let snapshot = keeper.snapshot();
    assert_eq!(snapshot.token.unwrap().secret.expose(), "first-token");
    assert_eq!(snapshot.last_fault.unwrap().codes, [Code::Http(503)]);
    assert_eq!(keeper.token().await.unwrap().secret.expose(), "first-token");
    stage.clock.run_for(Duration::from_secs(1)).await;
    assert!(keeper.current().is_none(), "an expired token is never given");
    assert_eq!(keeper.token().await.unwrap_err().codes, [Code::Http(503)], "the provider's words, not our own");
}

/// Fails in every way a source can: errors, garbage, stale tokens, a panic, silence.
#[derive(Debug)]
struct Chaos {
    inner: Arc<dyn Source>,
    calls: AtomicUsize,
    well_from: usize,
}

impl Source for Chaos {
    fn name(&self) -> &str {
        "chaos"
    }

    fn fetch<'a>(&'a self, scope: &'a Scope) -> BoxFuture<'a, Outcome> {
        let call = self.calls.fetch_add(1, Ordering::Relaxed);
        if call >= self.well_from {
            return self.inner.fetch(scope);
        }
        match call % 5 {
            0 => panic!("a source with a defect"),
            1 => Box::pin(std::future::pending()),
            2 => Box::pin(async { Outcome::NotApplicable("not today".to_owned()) }),
            _ => self.inner.fetch(scope),
        }
    }
}

#[tokio::test]
async fn the_keeper_never_dies() {
    let stage = stage();
    let replies = AtomicUsize::new(0);
    stage.http.handle(move |_| match replies.fetch_add(1, Ordering::Relaxed) % 7 {
        0 => Err(HttpError::Connect("refused".to_owned())),
        1 => Ok(reply(200, "<html>")),
        2 => Ok(reply(410, "")),
        3 => token("stale-token", Duration::ZERO),
        4 => Err(HttpError::TlsUntrusted("unknown issuer".to_owned())),
        5 => Ok(json_reply(429, json!({"error": "throttled"}))),
        _ => token("good-token", HOUR),
    });
    let inner = app_service(&stage);
    let source = Arc::new(Chaos { inner, calls: AtomicUsize::new(0), well_from: 200 });
    let options = KeeperOptions { fetch_limit: Duration::from_millis(1), ..KeeperOptions::default() };
    let keeper = start_with(Arc::clone(&source) as _, options, &stage);
    let mut seen = keeper.subscribe();
    while source.calls.load(Ordering::Relaxed) < 220 {
        let before = seen.borrow_and_update().attempts;
        stage.clock.step().await;
        // Some answers are late by a real millisecond: wait for the fact, not for a time.
        if source.calls.load(Ordering::Relaxed) as u64 > before {
            seen.wait_for(|now| now.attempts > before).await.unwrap();
        }
    }
    let fresh = json!({"access_token": "well-again", "expires_in": "3600"});
    stage.http.handle(move |_| Ok(json_reply(200, fresh.clone())));
    keeper.refresh_now();
    stage.clock.run_for(Duration::from_secs(120)).await;
    assert_eq!(name_of(&keeper), "well-again");
    assert_eq!(keeper.snapshot().last_fault, None);
}

#[tokio::test]
async fn a_slow_scope_never_delays_another() {
    let stage = stage();
    let release = Arc::new(Notify::new());
    let held = Arc::clone(&release);
    stage.http.handle_async(move |request| {
        let (slow, held) = (request.url.contains("slow"), Arc::clone(&held));
        Box::pin(async move {
            if slow {
                held.notified().await;
            }
            token("any-token-at-all", HOUR)
        })
    });
    let source = app_service(&stage);
    let slow = {
        let scope = Scope::new("https://slow.example/.default");
        let (keeper, driver) = Keeper::new(Arc::clone(&source), scope, KeeperOptions::default(), &stage.outside());
        tokio::spawn(driver.run());
        keeper
    };
    let waiting = tokio::spawn(async move { slow.token().await });
    stage.http.reached(1).await;
    let fast = start_with(source, KeeperOptions::default(), &stage);
    fast.token().await.unwrap();
    assert!(!waiting.is_finished());
    release.notify_one();
    waiting.await.unwrap().unwrap();
}

#[tokio::test]
async fn waiters_are_bounded() {
    let stage = stage();
    stage.http.handle_async(|_| Box::pin(std::future::pending()));
    let keeper = start_with(app_service(&stage), KeeperOptions { max_waiters: 2, ..KeeperOptions::default() }, &stage);
    let waiting: Vec<_> = (0..2)
        .map(|_| {
            let keeper = keeper.clone();
            tokio::spawn(async move { keeper.token().await })
        })
        .collect();
    stage.http.reached(1).await;
    assert!(keeper.token().await.unwrap_err().is("too_many_waiters"));
    waiting.into_iter().for_each(|task| task.abort());
    tokio::task::yield_now().await;
    let limited = tokio::time::timeout(Duration::from_millis(1), keeper.token()).await;
    assert!(limited.is_err(), "a caller that left made room");
}

#[tokio::test]
async fn a_wait_for_a_token_ends_at_its_limit() {
    let stage = stage();
    stage.http.handle_async(|_| Box::pin(std::future::pending()));
    let options = KeeperOptions { wait_limit: Duration::from_millis(1), ..KeeperOptions::default() };
    let keeper = start_with(app_service(&stage), options, &stage);
    assert!(keeper.token().await.unwrap_err().is("token_wait_timeout"));
}

#[tokio::test]
async fn a_reader_of_a_keeper_whose_driver_is_gone_gets_an_error_and_never_hangs() {
    let stage = stage();
    let (keeper, driver) = Keeper::new(app_service(&stage), redis(), KeeperOptions::default(), &stage.outside());
    drop(driver);
    assert!(keeper.token().await.unwrap_err().is("keeper_gone"));
    assert!(keeper.token_within(HOUR).await.unwrap_err().is("keeper_gone"));
    assert_eq!(stage.http.count(), 0, "nothing starts in a constructor");
}

#[tokio::test]
async fn a_patient_caller_waits_through_failures() {
    let stage = stage();
    stage.http.push(Ok(reply(404, "")));
    stage.http.push(Ok(reply(410, "")));
    stage.http.push(token("late-token", HOUR));
    let keeper = start(&stage);
    let patient = {
        let keeper = keeper.clone();
        tokio::spawn(async move { keeper.token_within(HOUR).await })
    };
    stage.clock.run_for(Duration::from_secs(10)).await;
    assert_eq!(patient.await.unwrap().unwrap().secret.expose(), "late-token");
}

#[tokio::test]
async fn a_fresh_token_asked_for_comes_once_and_not_before_the_floor() {
    let stage = stage();
    stage.http.push(token("first-token", HOUR));
    let keeper = start(&stage);
    keeper.token().await.unwrap();
    stage.http.push(token("second-token", HOUR));
    for _ in 0..10 {
        keeper.refresh_now();
    }
    stage.clock.sleeper().await;
    assert_eq!((name_of(&keeper).as_str(), stage.http.count()), ("first-token", 1));
    stage.clock.run_for(Duration::from_secs(1)).await;
    assert_eq!((name_of(&keeper).as_str(), stage.http.count()), ("second-token", 2));
    stage.clock.run_for(Duration::from_secs(60)).await;
    assert_eq!(stage.http.count(), 2);
}

#[tokio::test]
async fn a_repeated_token_is_no_new_generation_and_no_hot_loop() {
    let stage = stage();
    stage.http.handle(|_| token("same-token", HOUR));
    let keeper = start(&stage);
    keeper.token().await.unwrap();
    keeper.refresh_now();
    stage.clock.run_for(Duration::from_secs(30)).await;
    assert_eq!(keeper.snapshot().generation, 1);
    assert!((2..8).contains(&stage.http.count()), "{} requests", stage.http.count());
}

#[tokio::test]
async fn a_clock_that_is_set_back_does_not_prolong_a_token() {
    let stage = stage();
    stage.http.push(token("first-token", HOUR));
    stage.http.push(token("second-token", HOUR));
    let keeper = start(&stage);
    keeper.token().await.unwrap();
    let year = Duration::from_secs(366 * 86_400);
    stage.clock.set(Stage::START - year);
    keeper.refresh_now();
    let expires = |seen: &Snapshot| seen.token.as_ref().unwrap().lifetime.expires;
    let seen = keeper.subscribe().wait_for(|seen| expires(seen) != Stage::START + HOUR).await.unwrap().clone();
    assert_eq!(expires(&seen), Stage::START - year + HOUR);
    assert_eq!(keeper.current().unwrap().lifetime.expires, Stage::START - year + HOUR);
}

#[tokio::test]
async fn case_29_keeper_a_suspended_machine_has_a_fresh_token_right_after_it_wakes() {
    let stage = stage();
    stage.http.handle(|_| token("any-token-at-all", HOUR));
    let keeper = start(&stage);
    keeper.token().await.unwrap();
    stage.clock.advance(HOUR * 50);
    assert!(keeper.current().is_none());
    assert!(keeper.token().await.is_ok(), "a reader waits for the refresh that is due");
}

#[tokio::test]
async fn case_28_keeper_the_providers_clock_is_compared_and_a_difference_reported() {
    let (stage, logs) = (stage(), Logs::capture());
    let mut dated = token("first-token", HOUR).unwrap();
    dated.headers.push(("date".to_owned(), "Thu, 01 Jan 2026 00:10:00 GMT".to_owned()));
    stage.http.push(Ok(dated));
    let keeper = start(&stage);
    keeper.token().await.unwrap();
    assert_eq!(keeper.snapshot().skew_millis, Some(600_000));
    assert!(logs.text().contains("provider_ahead_by_seconds=600"), "{}", logs.text());
}

#[tokio::test]
async fn acquiring_refreshing_and_failing_are_logged_with_times_and_without_the_token() {
    let (stage, logs) = (stage(), Logs::capture());
    stage.http.push(token("first-token", HOUR));
    stage.http.push(token("second-token", HOUR));
    stage.http.push(Ok(json_reply(400, json!({"error": "invalid_request"}))));
    let keeper = start(&stage);
    keeper.token().await.unwrap();
    stage.clock.run_for(HOUR).await;
    stage.clock.run_for(HOUR).await;
    let text = logs.text();
    for line in ["token acquired", "expires=2026-01-01T01:00:00Z", "token refreshed", "new_expiry=", "refresh failed"] {
        assert!(text.contains(line), "{line} is not in {text}");
    }
    logs.assert_no_secret(&[
        &Secret::from("first-token"),
        &Secret::from("second-token"),
        &Secret::from("header-of-the-identity-endpoint"),
    ]);
}

#[tokio::test]
async fn metrics_count_acquisitions_failures_and_expiry() {
    let recorder = metrics_exporter_prometheus::PrometheusBuilder::new().build_recorder();
    let handle = recorder.handle();
    let _guard = metrics::set_default_local_recorder(&recorder);
    let stage = stage();
    stage.http.push(Ok(reply(500, "")));
    stage.http.push(token("first-token", HOUR));
    let keeper = start(&stage);
    stage.clock.run_for(Duration::from_secs(10)).await;
    assert!(keeper.current().is_some());
    stage.clock.run_for(HOUR).await;
    let page = handle.render();
    let labels = r#"{source="app-service",resource="https://redis.azure.com"}"#;
    for line in [
        format!("entrant_token_acquisitions_total{labels} 1"),
        format!("entrant_token_expiry_timestamp_seconds{labels} 176722"),
    ] {
        assert!(page.contains(&line), "{line} is not in {page}");
    }
    assert!(page.contains("entrant_token_refresh_failures_total") && !page.contains("first-token"), "{page}");
}
