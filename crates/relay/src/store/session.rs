//! One connection's state, and how one of its commands is carried out.

use std::collections::BTreeSet;

use bytes::BytesMut;
use entrant_proto::resp::{ReplyWriter, Version};

use super::acl::Denied;
use super::blocking::Waiting;
use super::call::{Argv, Call, Done, Failure};
use super::commands::server;
use super::outbox::Outbox;
use super::state::State;
use super::table::{Run, Spec, find, find_sub};

/// Whether replies are sent (CLIENT REPLY).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum ReplyMode {
    #[default]
    On,
    Off,
    /// Not to the next command.
    SkipNext,
}

/// What stands between MULTI and EXEC.
#[derive(Debug, Default)]
pub(super) struct Transaction {
    pub(super) queue: Vec<Vec<Vec<u8>>>,
    bytes: usize,
    /// A command was refused when it was queued.
    pub(super) broken: bool,
}

/// One connection.
#[derive(Debug)]
pub(super) struct Session {
    pub(super) id: u64,
    pub(super) outbox: Outbox,
    pub(super) user: Option<String>,
    pub(super) name: String,
    pub(super) db: usize,
    version: Version,
    pub(super) transaction: Option<Transaction>,
    pub(super) in_exec: bool,
    pub(super) channels: BTreeSet<Vec<u8>>,
    pub(super) patterns: BTreeSet<Vec<u8>>,
    pub(super) reply_mode: ReplyMode,
    pub(super) waiting: Option<Waiting>,
    /// QUIT was said.
    pub(super) ending: bool,
}

impl Session {
    pub(super) fn new(id: u64, outbox: Outbox, user: Option<String>) -> Self {
        Self {
            id,
            outbox,
            user,
            name: String::new(),
            db: 0,
            version: Version::Resp2,
            transaction: None,
            in_exec: false,
            channels: BTreeSet::new(),
            patterns: BTreeSet::new(),
            reply_mode: ReplyMode::On,
            waiting: None,
            ending: false,
        }
    }

    pub(super) const fn version(&self) -> Version {
        self.version
    }

    pub(super) fn set_version(&mut self, version: Version) {
        self.version = version;
        self.outbox.set_version(version);
    }

    pub(super) fn is_subscribed(&self) -> bool {
        !self.channels.is_empty() || !self.patterns.is_empty()
    }

    /// Forgets an open transaction and what is watched.
    pub(super) fn discard(&mut self, state: &mut State) {
        self.transaction = None;
        state.unwatch(self.id);
    }

    /// Carries out one command; its reply goes behind `out`.
    pub(super) fn dispatch(&mut self, state: &mut State, args: Argv<'_>, out: &mut BytesMut, now: i64) {
        let mode = self.reply_mode;
        let before = out.len();
        state.commands += 1;
        let mut call = Call { state, session: self, args, out, now };
        call.begin();
        call.state.settle(now);
        let silent = match mode {
            ReplyMode::On => false,
            ReplyMode::Off => call.session.reply_mode != ReplyMode::On,
            ReplyMode::SkipNext => {
                call.session.reply_mode = ReplyMode::On;
                true
            }
        };
        if silent {
            call.out.truncate(before);
        }
    }
}

impl Call<'_> {
    /// Checks and carries out, or queues, a command as it comes from the client.
    fn begin(&mut self) {
        let queueing = self.session.transaction.is_some();
        let checked = self.resolve().and_then(|(index, spec)| {
            self.check(index, spec)?;
            Ok(spec)
        });
        let spec = match checked {
            Ok(spec) => spec,
            Err(failure) => {
                if let Some(transaction) = &mut self.session.transaction {
                    transaction.broken = true;
                }
                return self.fail(&failure);
            }
        };
        let at_once = matches!(spec.name, "exec" | "discard" | "multi" | "watch" | "quit" | "reset");
        if queueing && !at_once {
            return match self.enqueue() {
                Ok(()) => self.reply().simple("QUEUED"),
                Err(failure) => self.fail(&failure),
            };
        }
        self.run(spec);
    }

    /// Carries out a queued command.
    pub(super) fn execute(&mut self) {
        let allowed = self.resolve().and_then(|(index, spec)| {
            self.may(index, spec).map_err(Denied::reply_in_exec)?;
            Ok(spec)
        });
        match allowed {
            Ok(spec) => self.run(spec),
            Err(failure) => self.fail(&failure),
        }
    }

    fn run(&mut self, spec: &Spec) {
        let done = match spec.run {
            Run::Data(run) => {
                let version = self.session.version();
                match self.state.db(self.session.db, self.now) {
                    Some(db) => run(db, self.args, &mut ReplyWriter::new(self.out, version)),
                    None => Err("ERR DB index is out of range".into()),
                }
            }
            Run::Session(run) => {
                let done = run(self);
                self.sync_peer();
                done
            }
            Run::Parent => server::command_all(self),
        };
        if let Err(failure) = done {
            self.fail(&failure);
        }
    }

    fn fail(&mut self, failure: &str) {
        self.reply().error(failure);
    }

    fn resolve(&self) -> Result<(usize, &'static Spec), Failure> {
        let name = self.args.at(0);
        let (index, spec) = find(name).filter(|(_, spec)| !spec.name.contains('|')).ok_or_else(|| self.unknown())?;
        let wrong_count =
            |spec: &Spec| Failure::from(format!("ERR wrong number of arguments for '{}' command", spec.name));
        if !matches!(spec.run, Run::Parent) || spec.name == "command" && self.args.len() == 1 {
            return if spec.takes(self.args.len()) { Ok((index, spec)) } else { Err(wrong_count(spec)) };
        }
        if self.args.len() < 2 {
            return Err(wrong_count(spec));
        }
        let (index, sub) = find_sub(spec, self.args.at(1)).ok_or_else(|| {
            let shown = String::from_utf8_lossy(self.args.at(1).get(..128).unwrap_or(self.args.at(1))).into_owned();
            Failure::from(format!("ERR unknown subcommand '{shown}'. Try {} HELP.", spec.name.to_ascii_uppercase()))
        })?;
        if sub.takes(self.args.len()) { Ok((index, sub)) } else { Err(wrong_count(sub)) }
    }

    fn unknown(&self) -> Failure {
        let shown = |text: &[u8]| String::from_utf8_lossy(text.get(..128).unwrap_or(text)).into_owned();
        let mut text = format!("ERR unknown command '{}', with args beginning with: ", shown(self.args.at(0)));
        let mut room = 128_usize;
        for arg in self.args.from(1) {
            if room == 0 {
                break;
            }
            let arg = arg.get(..room).unwrap_or(arg);
            room = room.saturating_sub(arg.len() + 3);
            text.push_str(&format!("'{}' ", String::from_utf8_lossy(arg)));
        }
        text.into()
    }

    fn check(&mut self, index: usize, spec: &Spec) -> Done {
        if self.session.user.is_none() && !spec.no_auth {
            return Err("NOAUTH Authentication required.".into());
        }
        self.may(index, spec).map_err(|denied| denied.reply(spec))?;
        if spec.denied_when_full && self.state.is_full(self.now) {
            return Err("OOM command not allowed when used memory > 'maxmemory'.".into());
        }
        let allowed = ["subscribe", "unsubscribe", "psubscribe", "punsubscribe", "ping", "quit", "reset"];
        if self.session.version() == Version::Resp2 && self.session.is_subscribed() && !allowed.contains(&spec.name) {
            return Err(format!(
                "ERR Can't execute '{}': only (P|S)SUBSCRIBE / (P|S)UNSUBSCRIBE / PING / QUIT / RESET are allowed in this context",
                spec.name.replace('|', " ")
            )
            .into());
        }
        Ok(())
    }

    fn may(&self, index: usize, spec: &Spec) -> Result<(), Denied> {
        match self.session.user.as_deref().map(|name| self.state.acl.get(name)) {
            Some(Some(user)) => user.check(index, spec, self.args),
            Some(None) if !spec.no_auth => Err(Denied::Command),
            _ => Ok(()),
        }
    }

    fn enqueue(&mut self) -> Done {
        let max_bytes = self.state.max_bytes;
        let Some(transaction) = &mut self.session.transaction else { return Ok(()) };
        let command: Vec<Vec<u8>> = self.args.from(0).map(<[u8]>::to_vec).collect();
        transaction.bytes += command.iter().map(|arg| arg.len() + super::value::ELEMENT_OVERHEAD).sum::<usize>();
        if transaction.bytes > max_bytes {
            transaction.broken = true;
            transaction.queue.clear();
            return Err("OOM command not allowed when used memory > 'maxmemory'.".into());
        }
        transaction.queue.push(command);
        Ok(())
    }

    /// Shows others how the connection stands.
    pub(super) fn sync_peer(&mut self) {
        if let Some(peer) = self.state.peers.get_mut(&self.session.id) {
            peer.db = self.session.db;
            if peer.user != self.session.user {
                peer.user.clone_from(&self.session.user);
            }
            if peer.name != self.session.name {
                peer.name.clone_from(&self.session.name);
            }
        }
    }
}
