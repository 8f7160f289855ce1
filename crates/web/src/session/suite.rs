//! The test-suite for implementers of [`SessionStore`]: every promise of the trait, checked on a live store.

use std::time::Duration;

use futures_util::future::join_all;

use super::seal::RecordId;
use super::store::{Replaced, SessionStore, Stored};

const HOUR: Duration = Duration::from_secs(3600);

/// Checks every promise. `label` keeps apart the records of several runs on one store.
///
/// # Errors
/// A sentence that names the first broken promise.
pub async fn check(store: &dyn SessionStore, label: &str) -> Result<(), String> {
    let id = |name: &str| RecordId::of(format!("{label}/{name}").as_bytes());
    creates_and_loads(store, &id("create")).await?;
    replaces_only_the_expected_version(store, &id("replace")).await?;
    lets_exactly_one_of_many_writers_win(store, &id("race")).await?;
    never_revives_an_ended_record(store, &id("end")).await?;
    never_creates_by_replacing(store, &id("absent")).await?;
    keeps_groups(store, &id("group"), [id("one"), id("two")]).await
}

fn expect<T: PartialEq + std::fmt::Debug>(promise: &str, found: T, wanted: T) -> Result<(), String> {
    if found == wanted { Ok(()) } else { Err(format!("{promise}: found {found:?}, wanted {wanted:?}")) }
}

fn ok<T>(promise: &str, result: Result<T, entrant_types::Fault>) -> Result<T, String> {
    result.map_err(|fault| format!("{promise}: {fault}"))
}

fn stored(version: u64, sealed: &[u8]) -> Option<Stored> {
    Some(Stored { version, sealed: sealed.to_vec() })
}

async fn creates_and_loads(store: &dyn SessionStore, id: &RecordId) -> Result<(), String> {
    let promise = "a created record is loaded as it was, whatever its bytes";
    expect(promise, ok(promise, store.load(id).await)?, None)?;
    let bytes: Vec<u8> = (0..=255).chain([0, 13, 10, 0]).collect();
    expect(promise, ok(promise, store.create(id, bytes.clone(), HOUR).await)?, true)?;
    expect(promise, ok(promise, store.load(id).await)?, stored(1, &bytes))?;
    let promise = "a record that exists is not created again";
    expect(promise, ok(promise, store.create(id, b"other".to_vec(), HOUR).await)?, false)?;
    expect(promise, ok(promise, store.load(id).await)?, stored(1, &bytes))
}

async fn replaces_only_the_expected_version(store: &dyn SessionStore, id: &RecordId) -> Result<(), String> {
    let promise = "a replacement needs the newest version";
    ok(promise, store.create(id, b"1".to_vec(), HOUR).await)?;
    for version in 1..4_u64 {
        let sealed = (version + 1).to_string().into_bytes();
        expect(
            promise,
            ok(promise, store.replace(id, version, sealed.clone(), HOUR).await)?,
            Replaced::Done(version + 1),
        )?;
        expect(promise, ok(promise, store.load(id).await)?, stored(version + 1, &sealed))?;
    }
    let promise = "a writer with an old version neither wins nor destroys, however old it is";
    for version in 1..4_u64 {
        let answer = ok(promise, store.replace(id, version, b"stale".to_vec(), HOUR).await)?;
        expect(promise, answer, Replaced::Conflict)?;
        expect(promise, ok(promise, store.load(id).await)?, stored(4, b"4"))?;
    }
    let promise = "writers go on after a stale one";
    expect(promise, ok(promise, store.replace(id, 4, b"5".to_vec(), HOUR).await)?, Replaced::Done(5))
}

async fn lets_exactly_one_of_many_writers_win(store: &dyn SessionStore, id: &RecordId) -> Result<(), String> {
    let promise = "of many writers on one version exactly one wins";
    ok(promise, store.create(id, b"start".to_vec(), HOUR).await)?;
    for version in 1..6_u64 {
        let writers = (0..16_u8).map(|writer| store.replace(id, version, vec![writer], HOUR));
        let mut winners = Vec::new();
        for (writer, answer) in (0..16_u8).zip(join_all(writers).await) {
            match ok(promise, answer)? {
                Replaced::Done(_) => winners.push(writer),
                Replaced::Conflict => {}
                Replaced::Gone => return Err(format!("{promise}: the record was lost")),
            }
        }
        expect(promise, winners.len(), 1)?;
        expect(promise, ok(promise, store.load(id).await)?, stored(version + 1, &winners))?;
    }
    Ok(())
}

async fn never_revives_an_ended_record(store: &dyn SessionStore, id: &RecordId) -> Result<(), String> {
    let promise = "an ended record is gone, and no late writer revives it";
    ok(promise, store.create(id, b"1".to_vec(), HOUR).await)?;
    ok(promise, store.replace(id, 1, b"2".to_vec(), HOUR).await)?;
    ok(promise, store.end(id, HOUR).await)?;
    expect(promise, ok(promise, store.load(id).await)?, None)?;
    for version in [1, 2, 3] {
        expect(promise, ok(promise, store.replace(id, version, b"late".to_vec(), HOUR).await)?, Replaced::Gone)?;
        expect(promise, ok(promise, store.load(id).await)?, None)?;
    }
    ok("ending twice is no error", store.end(id, HOUR).await)
}

async fn never_creates_by_replacing(store: &dyn SessionStore, id: &RecordId) -> Result<(), String> {
    let promise = "a replacement never creates a record";
    expect(promise, ok(promise, store.replace(id, 1, b"new".to_vec(), HOUR).await)?, Replaced::Gone)?;
    expect(promise, ok(promise, store.load(id).await)?, None)?;
    ok("ending what never existed is no error", store.end(id, HOUR).await)
}

async fn keeps_groups(store: &dyn SessionStore, group: &RecordId, members: [RecordId; 2]) -> Result<(), String> {
    let promise = "a group names its members once and is gone when disbanded";
    for member in members.iter().chain(&members) {
        ok(promise, store.join(group, member, HOUR).await)?;
    }
    let mut found = ok(promise, store.disband(group).await)?;
    found.sort_by_key(ToString::to_string);
    let mut wanted = members.to_vec();
    wanted.sort_by_key(ToString::to_string);
    expect(promise, found, wanted)?;
    expect(promise, ok(promise, store.disband(group).await)?, Vec::new())
}
