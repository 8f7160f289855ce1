//! Users and access strings, enforced as Redis enforces them: commands by name, subcommand and category, keys and
//! channels by pattern.

use std::collections::BTreeMap;

use aws_lc_rs::digest;

use super::call::{Argv, Done, Failure};
use super::glob;
use super::table::{CATEGORIES, Spec, TABLE};

/// What one user may do.
#[derive(Clone, Debug)]
pub(super) struct User {
    enabled: bool,
    no_password: bool,
    /// SHA-256 of each password.
    passwords: Vec<[u8; 32]>,
    /// By index in the command table.
    commands: Vec<bool>,
    keys: Vec<KeyRule>,
    channels: Vec<Vec<u8>>,
}

#[derive(Clone, Debug)]
struct KeyRule {
    pattern: Vec<u8>,
    read: bool,
    write: bool,
}

/// What a user may not do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Denied {
    Command,
    Key,
    Channel,
}

impl Denied {
    /// The error reply.
    pub(super) fn reply(self, spec: &Spec) -> Failure {
        match self {
            Self::Command => format!("NOPERM this user has no permissions to run the '{}' command", spec.name).into(),
            Self::Key => "NOPERM this user has no permissions to access one of the keys used as arguments".into(),
            Self::Channel => {
                "NOPERM this user has no permissions to access one of the channels used as arguments".into()
            }
        }
    }

    /// The error reply inside EXEC.
    pub(super) fn reply_in_exec(self) -> Failure {
        let reason = match self {
            Self::Command => "no permission to execute the command or subcommand",
            Self::Key => "no permission to touch the specified keys",
            Self::Channel => "no permission to access one of the channels used as arguments to the command",
        };
        format!("NOPERM ACLs rules changed between the moment the transaction was accumulated and the EXEC call. This command is no longer allowed for the following reason: {reason}").into()
    }
}

/// All users.
#[derive(Debug)]
pub(super) struct Acl(BTreeMap<String, User>);

impl Default for Acl {
    /// `default` without a password may do everything, as in a Redis just installed.
    fn default() -> Self {
        let mut user = User::none();
        user.enabled = true;
        user.no_password = true;
        user.commands.fill(true);
        user.keys.push(KeyRule { pattern: b"*".to_vec(), read: true, write: true });
        user.channels.push(b"*".to_vec());
        Self(BTreeMap::from([("default".to_owned(), user)]))
    }
}

impl Acl {
    pub(super) fn get(&self, name: &str) -> Option<&User> {
        self.0.get(name)
    }

    pub(super) fn names(&self) -> impl Iterator<Item = &String> {
        self.0.keys()
    }

    /// Who a connection is before AUTH: `default`, if it needs no password.
    pub(super) fn default_user(&self) -> Option<String> {
        let user = self.0.get("default")?;
        (user.enabled && user.no_password).then(|| "default".to_owned())
    }

    /// Whether a user may log in with this password.
    pub(super) fn accepts(&self, name: &str, password: &[u8]) -> bool {
        let Some(user) = self.0.get(name) else { return false };
        // Comparing hashes of secrets tells nothing by the time it takes.
        user.enabled && (user.no_password || user.passwords.contains(&hash(password)))
    }

    /// ACL SETUSER: all rules, or none when one is wrong.
    pub(super) fn set(&mut self, name: &str, rules: &mut dyn Iterator<Item = &[u8]>) -> Done {
        let mut user = self.0.get(name).cloned().unwrap_or_else(User::none);
        for rule in rules {
            user.apply(rule).map_err(|why| {
                Failure::from(format!("ERR Error in ACL SETUSER modifier '{}': {why}", String::from_utf8_lossy(rule)))
            })?;
        }
        self.0.insert(name.to_owned(), user);
        Ok(())
    }

    pub(super) fn remove(&mut self, name: &str) -> bool {
        self.0.remove(name).is_some()
    }
}

fn hash(password: &[u8]) -> [u8; 32] {
    digest::digest(&digest::SHA256, password).as_ref().try_into().unwrap_or_default()
}

impl User {
    fn none() -> Self {
        Self {
            enabled: false,
            no_password: false,
            passwords: Vec::new(),
            commands: vec![false; TABLE.len()],
            keys: Vec::new(),
            channels: Vec::new(),
        }
    }

    fn apply(&mut self, rule: &[u8]) -> Result<(), &'static str> {
        const UNKNOWN: &str = "Unknown command or category name in ACL";
        match rule.to_ascii_lowercase().as_slice() {
            b"on" => self.enabled = true,
            b"off" => self.enabled = false,
            b"nopass" => {
                self.no_password = true;
                self.passwords.clear();
            }
            b"resetpass" => {
                self.no_password = false;
                self.passwords.clear();
            }
            b"reset" => *self = Self::none(),
            b"allkeys" => self.add_key(b"*", true, true)?,
            b"resetkeys" => self.keys.clear(),
            b"allchannels" => self.add_channel(b"*")?,
            b"resetchannels" => self.channels.clear(),
            b"allcommands" | b"+@all" => self.commands.fill(true),
            b"nocommands" | b"-@all" => self.commands.fill(false),
            b"sanitize-payload" | b"skip-sanitize-payload" | b"clearselectors" => {}
            [sign @ (b'+' | b'-'), b'@', category @ ..] => {
                let category = std::str::from_utf8(category).map_err(|_| UNKNOWN)?;
                if !CATEGORIES.contains(&category) {
                    return Err(UNKNOWN);
                }
                self.allow(*sign == b'+', |spec| spec.categories.split(' ').any(|own| own == category));
            }
            [sign @ (b'+' | b'-'), name @ ..] if !name.is_empty() => {
                // A command that this store lacks cannot be run by anybody, so naming it is no error.
                let name = std::str::from_utf8(name).map_err(|_| UNKNOWN)?;
                self.allow(*sign == b'+', |spec| {
                    spec.name == name || spec.name.split_once('|').is_some_and(|(parent, _)| parent == name)
                });
            }
            _ => return self.apply_exact(rule),
        }
        Ok(())
    }

    /// Rules whose case matters.
    fn apply_exact(&mut self, rule: &[u8]) -> Result<(), &'static str> {
        match rule {
            [b'>', password @ ..] => {
                let hash = hash(password);
                if !self.passwords.contains(&hash) {
                    self.passwords.push(hash);
                }
                self.no_password = false;
            }
            [b'<', password @ ..] => {
                let hash = hash(password);
                if !self.passwords.contains(&hash) {
                    return Err("The password you are trying to remove from the user does not exist");
                }
                self.passwords.retain(|own| *own != hash);
            }
            [b'~', pattern @ ..] => self.add_key(pattern, true, true)?,
            [b'%', rest @ ..] => {
                let at = rest.iter().position(|byte| *byte == b'~').ok_or("Syntax error")?;
                let (flags, pattern) = rest.split_at(at);
                let flags = flags.to_ascii_uppercase();
                if flags.is_empty() || flags.iter().any(|flag| !matches!(flag, b'R' | b'W')) {
                    return Err("Syntax error");
                }
                let pattern = pattern.get(1..).unwrap_or_default();
                self.add_key(pattern, flags.contains(&b'R'), flags.contains(&b'W'))?;
            }
            [b'&', pattern @ ..] => self.add_channel(pattern)?,
            _ => return Err("Syntax error"),
        }
        Ok(())
    }

    fn add_key(&mut self, pattern: &[u8], read: bool, write: bool) -> Result<(), &'static str> {
        let all = |rule: &KeyRule| rule.pattern == b"*" && rule.read && rule.write;
        if self.keys.iter().any(all) && pattern != b"*" {
            return Err(
                "Adding a pattern after the * pattern (or the 'allkeys' flag) is not valid and does not have any effect. Try 'resetkeys' to start with an empty list of patterns",
            );
        }
        if pattern == b"*" && read && write {
            self.keys.clear();
        }
        self.keys.push(KeyRule { pattern: pattern.to_vec(), read, write });
        Ok(())
    }

    fn add_channel(&mut self, pattern: &[u8]) -> Result<(), &'static str> {
        if self.channels.iter().any(|own| own == b"*") && pattern != b"*" {
            return Err(
                "Adding a pattern after the * pattern (or the 'allchannels' flag) is not valid and does not have any effect. Try 'resetchannels' to start with an empty list of channels",
            );
        }
        if pattern == b"*" {
            self.channels.clear();
        }
        self.channels.push(pattern.to_vec());
        Ok(())
    }

    fn allow(&mut self, allowed: bool, which: impl Fn(&Spec) -> bool) {
        for (own, spec) in self.commands.iter_mut().zip(TABLE) {
            if which(spec) {
                *own = allowed;
            }
        }
    }

    /// Whether the user may run this command with these arguments.
    pub(super) fn check(&self, index: usize, spec: &Spec, args: Argv<'_>) -> Result<(), Denied> {
        if !spec.no_auth && self.commands.get(index) != Some(&true) {
            return Err(Denied::Command);
        }
        let writes = spec.is("write");
        let may = |key: &[u8]| {
            self.keys
                .iter()
                .any(|rule| (if writes { rule.write } else { rule.read }) && glob::matches(&rule.pattern, key))
        };
        if spec.keys(args).all(may) { self.check_channels(spec.name, args) } else { Err(Denied::Key) }
    }

    fn check_channels(&self, name: &str, args: Argv<'_>) -> Result<(), Denied> {
        let count = match name {
            "publish" => 1,
            "subscribe" | "psubscribe" => args.len() - 1,
            _ => return Ok(()),
        };
        // A pattern must stand among the user's patterns as it is.
        let literal = name == "psubscribe";
        let holds = |own: &[u8], channel: &[u8]| if literal { own == channel } else { glob::matches(own, channel) };
        let may = |channel: &[u8]| self.channels.iter().any(|own| own == b"*" || holds(own, channel));
        if args.from(1).take(count).all(may) { Ok(()) } else { Err(Denied::Channel) }
    }

    #[cfg(test)]
    fn may_run(&self, name: &str) -> bool {
        super::table::find(name.as_bytes())
            .is_some_and(|(index, spec)| spec.no_auth || self.commands.get(index) == Some(&true))
    }
}

#[cfg(test)]
mod tests {
    use entrant_types::access::policy;

    use super::*;

    fn user(access: &str) -> User {
        let mut acl = Acl::default();
        acl.set("u", &mut access.split_whitespace().map(str::as_bytes)).unwrap();
        acl.get("u").unwrap().clone()
    }

    #[test]
    fn the_built_in_policies_allow_what_their_names_say() {
        for (access, allowed, refused) in [
            (policy::DEFAULT, vec!["get", "set", "flushall", "client|list", "acl|setuser"], vec![]),
            (
                policy::DATA_CONTRIBUTOR,
                vec!["get", "set", "ping", "cluster|info"],
                vec!["flushall", "keys", "info", "client|list"],
            ),
            (
                policy::DATA_READER,
                vec!["get", "ping", "select", "client|setname"],
                vec!["set", "del", "publish", "multi", "blpop"],
            ),
            (
                "+@read ~cache:*",
                vec!["get", "auth", "hello", "reset", "quit"],
                vec!["ping", "select", "echo", "info", "acl|whoami"],
            ),
        ] {
            let user = user(access);
            for name in allowed {
                assert!(user.may_run(name), "{access} must allow {name}");
            }
            for name in refused {
                assert!(!user.may_run(name), "{access} must refuse {name}");
            }
        }
    }

    #[test]
    fn a_wrong_rule_changes_nothing() {
        let mut acl = Acl::default();
        acl.set("u", &mut [b"on".as_slice(), b">p", b"+@all"].into_iter()).unwrap();
        for rule in [&b"+@nonsense"[..], b"what", b"%X~k", b"<other"] {
            assert!(acl.set("u", &mut [b"-@all".as_slice(), rule].into_iter()).is_err());
        }
        assert!(acl.accepts("u", b"p") && acl.get("u").unwrap().may_run("set"));
        assert!(!acl.accepts("u", b"q") && !acl.accepts("v", b"p"));
    }
}
