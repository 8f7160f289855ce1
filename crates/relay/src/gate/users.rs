//! Access strings as real ACL users of the backend: one user for each object id, with a password that only this
//! process knows. The backend itself then decides what each may do, also in transactions and scripts.

use aws_lc_rs::hmac;
use bytes::BytesMut;
use entrant_proto::resp::{Value, Version, encode_command};
use entrant_types::{Entropy, Fault, ObjectId, Secret};

use super::backend::{Backend, Stream, exchange};
use super::credentials::backend_auth;
use crate::assignments::{AccessString, AssignmentMap};

/// What a managed service keeps for itself, whatever the access string says: who may log in, and the server's
/// configuration, persistence, replication, modules and life. Azure blocks these commands too. Subtracted after
/// the access string; `ACL WHOAMI`, `ACL CAT` and `ACL DRYRUN` stay.
const WITHHELD: [&str; 22] = [
    "-acl|setuser",
    "-acl|deluser",
    "-acl|getuser",
    "-acl|list",
    "-acl|users",
    "-acl|load",
    "-acl|save",
    "-acl|log",
    "-bgrewriteaof",
    "-bgsave",
    "-config",
    "-debug",
    "-failover",
    "-migrate",
    "-module",
    "-psync",
    "-replconf",
    "-replicaof",
    "-save",
    "-shutdown",
    "-slaveof",
    "-sync",
];

/// Who is in a cluster and which slots it serves is the operator's; Azure blocks these too. The embedded store has none.
const CLUSTER_WITHHELD: [&str; 14] = [
    "-cluster|addslots",
    "-cluster|addslotsrange",
    "-cluster|bumpepoch",
    "-cluster|delslots",
    "-cluster|delslotsrange",
    "-cluster|failover",
    "-cluster|flushslots",
    "-cluster|forget",
    "-cluster|meet",
    "-cluster|replicate",
    "-cluster|reset",
    "-cluster|saveconfig",
    "-cluster|set-config-epoch",
    "-cluster|setslot",
];

/// Whose passwords a user has after it was set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Passwords {
    /// This process's alone.
    OnlyOurs,
    /// This process's and those it had: other gates before the same Redis go on.
    OursToo,
}

/// Keeps the backend's users.
#[derive(Debug)]
pub(super) struct Users {
    backend: Backend,
    key: hmac::Key,
}

impl Users {
    pub(super) fn new(backend: Backend, entropy: &dyn Entropy) -> Self {
        let mut seed = [0_u8; 32];
        entropy.fill(&mut seed);
        Self { backend, key: hmac::Key::new(hmac::HMAC_SHA256, &seed) }
    }

    /// The same users at another node of the cluster.
    pub(super) fn at(&self, backend: Backend) -> Self {
        Self { backend, key: self.key.clone() }
    }

    pub(super) const fn backend(&self) -> &Backend {
        &self.backend
    }

    /// The backend password of an object id: the same while this process lives, a new one after.
    pub(super) fn password(&self, object_id: ObjectId) -> Secret {
        let tag = hmac::sign(&self.key, object_id.guid().as_bytes());
        Secret::new(tag.as_ref().iter().map(|byte| format!("{byte:02x}")).collect())
    }

    /// Makes or changes users in place; live connections keep their user and feel the change at once.
    pub(super) async fn set(&self, map: &AssignmentMap, passwords: Passwords) -> Result<(), Fault> {
        let mut commands = BytesMut::new();
        for (object_id, assignment) in map {
            self.set_user(&mut commands, *object_id, &assignment.access, passwords);
        }
        self.run(&commands, map.keys().copied().collect()).await
    }

    /// Deletes users; the backend closes their connections.
    pub(super) async fn remove(&self, object_ids: &[ObjectId]) -> Result<(), Fault> {
        let mut commands = BytesMut::new();
        for object_id in object_ids {
            encode_command(&mut commands, &["ACL", "DELUSER", &object_id.to_string()]);
        }
        self.run(&commands, object_ids.to_vec()).await
    }

    /// A connection on which this object id is logged in.
    pub(super) async fn enter(&self, object_id: ObjectId) -> Result<Box<dyn Stream>, Fault> {
        let mut stream = self.backend.connect().await?;
        let command = backend_auth(object_id, &self.password(object_id));
        let replies = exchange(&mut stream, &command, 1).await.map_err(|why| self.backend.unreachable(&why))?;
        match replies.first() {
            Some(Value::Error(text)) => Err(self.backend.refused("a log-in of the gate", text)),
            _ => Ok(stream),
        }
    }

    /// One command's reply as this user and in this version of RESP, on a connection for it alone.
    pub(super) async fn ask(&self, object_id: ObjectId, version: Version, command: &[u8]) -> Result<Value, Fault> {
        let mut stream = self.enter(object_id).await?;
        let mut commands = BytesMut::new();
        encode_command(&mut commands, &["HELLO", &version.number().to_string()]);
        commands.extend_from_slice(command);
        let replies = exchange(&mut stream, &commands, 2).await.map_err(|why| self.backend.unreachable(&why))?;
        replies.into_iter().nth(1).ok_or_else(|| self.backend.unreachable("no reply"))
    }

    fn set_user(&self, out: &mut BytesMut, object_id: ObjectId, access: &AccessString, passwords: Passwords) {
        let (user, password) = (object_id.to_string(), self.password(object_id));
        let password = format!(">{}", password.expose());
        let mut args = vec!["ACL", "SETUSER", &user];
        match passwords {
            Passwords::OnlyOurs => args.push("reset"),
            // `reset` without `resetpass`, as far as the access strings can have set anything.
            Passwords::OursToo => args.extend(["resetkeys", "resetchannels", "nocommands"]),
        }
        args.extend(["on", &password]);
        args.extend(access.rules());
        args.extend(WITHHELD);
        if !matches!(self.backend, Backend::Embedded(_)) {
            args.extend(CLUSTER_WITHHELD);
        }
        encode_command(out, &args);
    }

    async fn run(&self, commands: &[u8], object_ids: Vec<ObjectId>) -> Result<(), Fault> {
        if object_ids.is_empty() {
            return Ok(());
        }
        let mut stream = self.backend.connect_admin().await?;
        let replies =
            exchange(&mut stream, commands, object_ids.len()).await.map_err(|why| self.backend.unreachable(&why))?;
        for (reply, object_id) in replies.iter().zip(object_ids) {
            if let Value::Error(text) = reply {
                return Err(self.backend.refused(&format!("the access policy of {object_id}"), text));
            }
        }
        Ok(())
    }
}
