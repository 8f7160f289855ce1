//! What every [`TokenStore`] must promise, as checks for implementers to run in their own tests.

use std::sync::Arc;

use entrant_types::{BoxFuture, HomeAccountId};
use entrant_validate::Subject;

use crate::store::{Replaced, TokenStore, Versioned};
use crate::{Account, AccountTokens};

/// How the suite makes and ends partitions of the store under test.
pub trait Harness: Sync {
    /// A new partition that holds `tokens`.
    fn create(&self, tokens: AccountTokens) -> BoxFuture<'_, Arc<dyn TokenStore>>;
    /// Another handle to the same partition, as another replica would have it.
    fn again<'a>(&'a self, store: &'a dyn TokenStore) -> BoxFuture<'a, Arc<dyn TokenStore>>;
    /// Ends a partition: the person signs out.
    fn end<'a>(&'a self, store: &'a dyn TokenStore) -> BoxFuture<'a, ()>;
}

/// Tokens to store, told apart by `name`.
#[must_use]
pub fn sample(name: &str) -> AccountTokens {
    let account = Account {
        home_account_id: HomeAccountId::new(name, "home"),
        tenant_id: None,
        object_id: None,
        username: Some(format!("{name}@contoso.example")),
        name: None,
        login_hint: None,
        session_id: None,
    };
    let subject = Subject { issuer: "https://issuer.example".to_owned(), subject: name.to_owned(), auth_time: None };
    AccountTokens::new(account, subject)
}

/// Runs every check.
///
/// # Errors
/// The first broken promise, as a sentence.
pub async fn check(harness: &dyn Harness) -> Result<(), String> {
    what_is_written_is_read_by_every_replica(harness).await?;
    of_two_writers_one_is_told(harness).await?;
    of_many_writers_exactly_one_wins(harness).await?;
    a_write_never_brings_a_partition_back(harness).await?;
    partitions_do_not_mix(harness).await
}

async fn load(store: &dyn TokenStore) -> Result<Versioned, String> {
    let held = store.load().await.map_err(|fault| format!("load failed: {fault}"))?;
    held.ok_or_else(|| "a partition that exists was not found".to_owned())
}

async fn replace(store: &dyn TokenStore, version: u64, tokens: &AccountTokens) -> Result<Replaced, String> {
    store.replace(version, tokens).await.map_err(|fault| format!("replace failed: {fault}"))
}

fn promise(kept: bool, sentence: &str) -> Result<(), String> {
    if kept { Ok(()) } else { Err(sentence.to_owned()) }
}

async fn what_is_written_is_read_by_every_replica(harness: &dyn Harness) -> Result<(), String> {
    let store = harness.create(sample("first")).await;
    let before = load(store.as_ref()).await?;
    promise(*before.tokens == sample("first"), "a new partition holds what it was made with")?;
    let Replaced::Done(version) = replace(store.as_ref(), before.version, &sample("second")).await? else {
        return Err("a write under the loaded version was not accepted".to_owned());
    };
    promise(version != before.version, "a write changes the version")?;
    let other = harness.again(store.as_ref()).await;
    promise(other.partition() == store.partition(), "two handles of one partition have the same name")?;
    let after = load(other.as_ref()).await?;
    promise(after.version == version, "the version told by a write is the one then loaded")?;
    promise(*after.tokens == sample("second"), "what one replica writes another reads")
}

async fn of_two_writers_one_is_told(harness: &dyn Harness) -> Result<(), String> {
    let store = harness.create(sample("first")).await;
    let other = harness.again(store.as_ref()).await;
    let seen = load(store.as_ref()).await?.version;
    let won = replace(other.as_ref(), seen, &sample("winner")).await?;
    promise(matches!(won, Replaced::Done(_)), "the first writer wins")?;
    let lost = replace(store.as_ref(), seen, &sample("loser")).await?;
    promise(lost == Replaced::Conflict, "a write under an old version is told Conflict")?;
    let held = load(store.as_ref()).await?;
    promise(*held.tokens == sample("winner"), "a write that was told Conflict changes nothing")
}

async fn of_many_writers_exactly_one_wins(harness: &dyn Harness) -> Result<(), String> {
    let store = harness.create(sample("first")).await;
    let seen = load(store.as_ref()).await?.version;
    let mut writers = tokio::task::JoinSet::new();
    for number in 0..16 {
        let store = harness.again(store.as_ref()).await;
        writers.spawn(async move { replace(store.as_ref(), seen, &sample(&number.to_string())).await });
    }
    let mut won = 0;
    while let Some(result) = writers.join_next().await {
        let replaced = result.map_err(|_| "a writer died".to_owned())??;
        won += usize::from(matches!(replaced, Replaced::Done(_)));
    }
    promise(won == 1, "of many writers under one version exactly one wins")
}

async fn a_write_never_brings_a_partition_back(harness: &dyn Harness) -> Result<(), String> {
    let store = harness.create(sample("first")).await;
    let seen = load(store.as_ref()).await?.version;
    harness.end(store.as_ref()).await;
    let replaced = replace(store.as_ref(), seen, &sample("zombie")).await?;
    promise(replaced == Replaced::Gone, "a write to a partition that is gone is told Gone")?;
    let held = store.load().await.map_err(|fault| format!("load failed: {fault}"))?;
    promise(held.is_none(), "a partition that is gone stays gone")
}

async fn partitions_do_not_mix(harness: &dyn Harness) -> Result<(), String> {
    let one = harness.create(sample("one")).await;
    let two = harness.create(sample("two")).await;
    promise(one.partition() != two.partition(), "two partitions have different names")?;
    let seen = load(one.as_ref()).await?.version;
    replace(one.as_ref(), seen, &sample("one more")).await?;
    promise(*load(two.as_ref()).await?.tokens == sample("two"), "a write to one partition leaves others alone")
}
