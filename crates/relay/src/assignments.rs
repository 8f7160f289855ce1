//! Access policy assignments: which object id may log in at the gate, and what it may do.
//!
//! The file is TOML:
//!
//! ```toml
//! [[assignment]]
//! object_id = "00001111-aaaa-2222-bbbb-3333cccc4444"
//! policy = "data-contributor"        # default, data-owner, data-contributor, data-reader
//! name = "web-app-identity"          # optional, for logs
//!
//! [[assignment]]
//! object_id = "11112222-bbbb-3333-cccc-4444dddd5555"
//! access_string = "+@read ~cache:*"  # instead of a policy: Redis ACL rules
//! ```

use std::collections::BTreeMap;
use std::fmt;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use entrant_types::access::policy;
use entrant_types::{Code, Fault, ObjectId, Outside, Retry, Whose};
use serde::Deserialize;
use tokio::sync::watch;

/// Largest assignments file: 1 MiB holds about 8,000 assignments.
const MAX_FILE_BYTES: usize = 1 << 20;
/// How often the file is looked at for changes.
const FILE_POLL: Duration = Duration::from_secs(5);
/// Longest access string. Redis reads each as arguments of one command.
const MAX_ACCESS_BYTES: usize = 4096;

/// Redis ACL rules that grant access, such as `+@read ~cache:*`. Rules that make or unmake users or passwords
/// cannot be among them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AccessString(String);

impl AccessString {
    /// Reads access rules.
    ///
    /// # Errors
    /// When a rule is none of `+…`, `-…`, `~…`, `%…~…`, `&…`, `allkeys`, `allchannels`, `allcommands`,
    /// `nocommands`, `resetkeys`, `resetchannels`.
    pub fn parse(text: &str) -> Result<Self, Fault> {
        let bad = |why: String| {
            Fault::new(
                Whose::Configuration,
                format!("The access string `{text}` cannot be used: {why}."),
                "Write Redis ACL rules for commands, keys and channels, such as `+@read +ping ~cache:*`.",
            )
            .retry(Retry::Never)
            .code(Code::Entrant("bad_access_string"))
        };
        if text.len() > MAX_ACCESS_BYTES {
            return Err(bad(format!("it is longer than {MAX_ACCESS_BYTES} bytes")));
        }
        for rule in text.split_whitespace() {
            let known = rule.len() > 1 && rule.starts_with(['+', '-', '~', '%', '&']);
            let words = ["allkeys", "allchannels", "allcommands", "nocommands", "resetkeys", "resetchannels"];
            if !known && !words.contains(&rule.to_ascii_lowercase().as_str()) {
                return Err(bad(format!("`{rule}` is no rule for commands, keys or channels")));
            }
        }
        if text.trim().is_empty() {
            return Err(bad("it is empty".to_owned()));
        }
        Ok(Self(text.to_owned()))
    }

    /// The rules, one by one.
    pub fn rules(&self) -> impl Iterator<Item = &str> {
        self.0.split_whitespace()
    }
}

impl fmt::Display for AccessString {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// What one object id may do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Assignment {
    /// What it may do.
    pub access: AccessString,
    /// What people call it; for logs.
    pub name: Option<String>,
}

/// All assignments by object id. One per object id, as on Azure.
pub type AssignmentMap = BTreeMap<ObjectId, Assignment>;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    #[serde(default)]
    assignment: Vec<Entry>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Entry {
    object_id: ObjectId,
    policy: Option<String>,
    access_string: Option<String>,
    name: Option<String>,
}

/// Reads an assignments file.
///
/// # Errors
/// When it is not TOML of that shape, an object id stands twice, or an access string cannot be used.
pub fn parse(text: &str) -> Result<AssignmentMap, Fault> {
    let bad = |why: &str| {
        Fault::new(
            Whose::Configuration,
            format!("The assignments file cannot be used: {why}."),
            "Give each [[assignment]] an object_id and either a policy (default, data-owner, data-contributor, data-reader) or an access_string.",
        )
        .retry(Retry::Never)
        .code(Code::Entrant("bad_assignments"))
    };
    let file: File = toml::from_str(text).map_err(|error| bad(error.message()))?;
    let mut map = AssignmentMap::new();
    for entry in file.assignment {
        let access = match (&entry.policy, &entry.access_string) {
            (Some(name), None) => {
                policy::by_name(name).ok_or_else(|| bad(&format!("there is no policy named `{name}`")))?
            }
            (None, Some(access)) => access,
            _ => return Err(bad(&format!("{} has not exactly one of policy and access_string", entry.object_id))),
        };
        let assignment = Assignment { access: AccessString::parse(access)?, name: entry.name };
        if map.insert(entry.object_id, assignment).is_some() {
            return Err(bad(&format!("{} is assigned twice", entry.object_id)));
        }
    }
    Ok(map)
}

/// The assignments in force. Cloning shares them; a change reaches live connections at once.
#[derive(Clone, Debug)]
pub struct Assignments(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    map: ArcSwap<AssignmentMap>,
    changed: watch::Sender<u64>,
}

impl Assignments {
    /// Begins with these.
    #[must_use]
    pub fn new(map: AssignmentMap) -> Self {
        Self(Arc::new(Inner { map: ArcSwap::from_pointee(map), changed: watch::Sender::new(0) }))
    }

    /// All of them.
    #[must_use]
    pub fn current(&self) -> Arc<AssignmentMap> {
        self.0.map.load_full()
    }

    /// What `object_id` may do, if it is assigned.
    #[must_use]
    pub fn get(&self, object_id: ObjectId) -> Option<Assignment> {
        self.0.map.load().get(&object_id).cloned()
    }

    /// Puts others in force.
    pub fn replace(&self, map: AssignmentMap) {
        self.0.map.store(Arc::new(map));
        self.0.changed.send_modify(|generation| *generation += 1);
    }

    /// Assigns or reassigns one object id.
    pub fn assign(&self, object_id: ObjectId, assignment: Assignment) {
        self.0.map.rcu(|map| {
            let mut map = AssignmentMap::clone(map);
            map.insert(object_id, assignment.clone());
            map
        });
        self.0.changed.send_modify(|generation| *generation += 1);
    }

    /// Deletes the assignment of one object id: it cannot log in any more, and its connections are closed.
    /// Returns what it was.
    pub fn remove(&self, object_id: ObjectId) -> Option<Assignment> {
        let previous = self.0.map.rcu(|map| {
            let mut map = AssignmentMap::clone(map);
            map.remove(&object_id);
            map
        });
        self.0.changed.send_modify(|generation| *generation += 1);
        previous.get(&object_id).cloned()
    }

    /// Notices every change from now on.
    #[must_use]
    pub fn subscribe(&self) -> watch::Receiver<u64> {
        self.0.changed.subscribe()
    }

    /// Reads the file now and puts it in force.
    ///
    /// # Errors
    /// When it cannot be read or used; what was in force stays.
    pub async fn load(&self, path: &Path, outside: &Outside) -> Result<(), Fault> {
        let map = read(path, outside).await?;
        if *self.0.map.load_full() != map {
            tracing::info!(assignments = map.len(), file = %path.display(), "access policy assignments are in force");
            self.replace(map);
        }
        Ok(())
    }

    /// Reads the file again every five seconds and puts changes in force; what cannot be used is logged once and
    /// leaves the assignments as they are. Never ends.
    pub async fn follow(&self, path: &Path, outside: &Outside) {
        let mut logged: Option<Fault> = None;
        loop {
            outside.clock.sleep_until(outside.clock.now() + FILE_POLL).await;
            match self.load(path, outside).await {
                Ok(()) => logged = None,
                Err(fault) => {
                    if logged.as_ref() != Some(&fault) {
                        tracing::error!(%fault, "the assignments in force stay as they are");
                    }
                    logged = Some(fault);
                }
            }
        }
    }
}

async fn read(path: &Path, outside: &Outside) -> Result<AssignmentMap, Fault> {
    let bytes = outside.files.read(path, MAX_FILE_BYTES).await.map_err(|why| {
        Fault::new(Whose::Configuration, why, "Name a readable assignments file.")
            .retry(Retry::Never)
            .code(Code::Entrant("bad_assignments"))
    })?;
    parse(&String::from_utf8_lossy(&bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    const ID: &str = "00001111-aaaa-2222-bbbb-3333cccc4444";

    #[test]
    fn a_file_assigns_policies_and_access_strings() {
        let map = parse(&format!(
            "[[assignment]]\nobject_id = \"{ID}\"\npolicy = \"data-reader\"\nname = \"app\"\n\
             [[assignment]]\nobject_id = \"11112222-bbbb-3333-cccc-4444dddd5555\"\naccess_string = \"+@read ~cache:*\"\n"
        ))
        .unwrap();
        assert_eq!(map.len(), 2);
        assert_eq!(map[&ID.parse().unwrap()].access.rules().next(), Some("+@read"));
    }

    #[test]
    fn what_cannot_be_used_is_refused_with_a_sentence() {
        for text in [
            "nonsense",
            "[[assignment]]\npolicy = \"default\"",
            &format!("[[assignment]]\nobject_id = \"{ID}\""),
            &format!("[[assignment]]\nobject_id = \"{ID}\"\npolicy = \"root\""),
            &format!("[[assignment]]\nobject_id = \"{ID}\"\npolicy = \"default\"\naccess_string = \"+@all\""),
            &format!("[[assignment]]\nobject_id = \"{ID}\"\npolicy = \"default\"\n").repeat(2),
            &format!("[[assignment]]\nobject_id = \"{ID}\"\npolicy = \"default\"\ncolour = 1"),
        ] {
            assert!(parse(text).unwrap_err().is("bad_assignments"), "{text}");
        }
    }

    #[test]
    fn an_access_string_cannot_make_a_password_or_switch_a_user() {
        for text in ["", "on", "+@all nopass", ">secret", "<x", "#abc", "reset", "+@all (+get ~x)", "off", "+"] {
            assert!(AccessString::parse(text).unwrap_err().is("bad_access_string"), "{text}");
        }
        for text in [policy::DEFAULT, policy::DATA_READER, "+@read ~cache:*", "+@all allkeys %R~x &ch*"] {
            assert!(AccessString::parse(text).is_ok(), "{text}");
        }
    }
}
