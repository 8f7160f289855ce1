//! A stage with a keeper whose source is in the test's hand, and the connections on it.
#![expect(clippy::panic, reason = "a test may stop at a broken promise")]
#![expect(unreachable_pub, reason = "shared by test programs, each of which is its own crate")]

pub mod server;

use std::sync::Arc;

use entrant_credential::{Keeper, KeeperOptions, Source};
use entrant_redis::{ManagedConnection, RedisConfig, Status};
use entrant_testkit::Stage;
use entrant_types::{AccessToken, Clock as _, Scope};
use tokio::task::JoinSet;

use server::{Endpoint, HOUR, LIMIT, token};

/// A stage with a keeper that runs on an [`Endpoint`].
pub struct Scene {
    pub stage: Stage,
    pub endpoint: Arc<Endpoint>,
    pub keeper: Keeper,
    pub tasks: JoinSet<()>,
}

impl Scene {
    pub fn new() -> Self {
        let stage = Stage::new();
        let endpoint = Arc::new(Endpoint::default());
        let source: Arc<dyn Source> = Arc::clone(&endpoint) as _;
        let scope = Scope::new("https://redis.azure.com/.default");
        let (keeper, driver) = Keeper::new(source, scope, KeeperOptions::default(), &stage.outside());
        let mut tasks = JoinSet::new();
        tasks.spawn(async move {
            driver.run().await;
        });
        Self { stage, endpoint, keeper, tasks }
    }

    /// A token of `owner` that lives for an hour from now on.
    pub fn token(&self, owner: u8, number: u32) -> AccessToken {
        let now = self.stage.clock.now();
        token(owner, number, now, now + HOUR)
    }

    pub fn connect(&mut self, config: RedisConfig) -> ManagedConnection {
        let (connection, driver) = ManagedConnection::new(config, self.keeper.clone(), &self.stage.outside());
        self.tasks.spawn(driver.run());
        connection
    }
}

/// Waits until the connection's status is as described.
pub async fn until(connection: &ManagedConnection, wanted: impl Fn(&Status) -> bool) -> Status {
    let mut statuses = connection.subscribe();
    let wait = async { statuses.wait_for(|status| wanted(status)).await.unwrap().clone() };
    match tokio::time::timeout(LIMIT, wait).await {
        Ok(status) => status,
        Err(_) => panic!("never came: {:?}", connection.status()),
    }
}
