//! One source, many scopes.

use std::sync::Arc;
use std::time::Duration;

use entrant_credential::sources::Imds;
use entrant_credential::{KeeperOptions, Keepers, Selector};
use entrant_testkit::{Stage, json_reply};
use entrant_types::{Clock, Scope};
use serde_json::json;

fn keepers(stage: &Stage) -> Keepers {
    let clock = Arc::clone(&stage.clock);
    stage.http.handle(move |request| {
        let resource = request.url.rsplit('=').next().unwrap_or_default().to_owned();
        let token = format!("token-for-{resource}-of-{}", clock.now());
        Ok(json_reply(200, json!({"access_token": token, "expires_in": "3600"})))
    });
    let source = Arc::new(Imds::at("http://127.0.0.1:1", Selector::SystemAssigned, &stage.outside()));
    let (keepers, driver) = Keepers::new(source, KeeperOptions::default(), &stage.outside());
    tokio::spawn(driver.run());
    keepers
}

#[tokio::test]
async fn every_scope_has_one_keeper_and_each_is_kept_fresh() {
    let stage = Stage::new();
    let keepers = keepers(&stage);
    for _ in 0..3 {
        for name in ["a", "b"] {
            let token = keepers.get(&Scope::new(name)).unwrap().token().await.unwrap();
            assert!(token.secret.expose().starts_with(&format!("token-for-{name}-")));
        }
    }
    assert_eq!(stage.http.count(), 2);
    stage.clock.run_for(Duration::from_secs(2701)).await;
    assert_eq!(stage.http.count(), 4, "both are renewed");
}

#[tokio::test]
async fn the_number_of_scopes_is_bounded() {
    let stage = Stage::new();
    let keepers = keepers(&stage);
    for number in 0..64 {
        keepers.get(&Scope::new(number.to_string())).unwrap().token().await.unwrap();
    }
    assert!(keepers.get(&Scope::new("one too many")).unwrap_err().is("too_many_scopes"));
    assert!(keepers.get(&Scope::new("5")).is_ok(), "those that exist stay");
}

#[tokio::test]
async fn without_its_driver_a_set_of_keepers_says_so() {
    let stage = Stage::new();
    let source = Arc::new(Imds::at("http://127.0.0.1:1", Selector::SystemAssigned, &stage.outside()));
    let (keepers, driver) = Keepers::new(source, KeeperOptions::default(), &stage.outside());
    let before = keepers.get(&Scope::new("a")).unwrap();
    drop(driver);
    assert!(before.token().await.unwrap_err().is("keeper_gone"));
    assert!(keepers.get(&Scope::new("b")).unwrap_err().is("keeper_gone"));
}
