//! What a command does to its connection, as far as an injected `AUTH` could disturb it.

use std::borrow::Cow;

/// The beginning of a request: its name, its first two arguments and how many there are, the name included.
#[derive(Clone, Debug)]
pub struct Request<'a> {
    /// The command's name as sent, any case.
    pub name: Cow<'a, [u8]>,
    /// First argument.
    pub first: Option<Cow<'a, [u8]>>,
    /// Second argument; of `HELLO` the name that it sets.
    pub second: Option<Cow<'a, [u8]>>,
    /// Arguments of the whole request, the name included.
    pub argc: u32,
}

impl<'a> Request<'a> {
    /// From the arguments of a request's first piece. `None` for a request without a name.
    pub fn read(mut args: impl Iterator<Item = Cow<'a, [u8]>>, argc: u32) -> Option<Self> {
        let name = args.next()?;
        let first = args.next();
        let second = if name.eq_ignore_ascii_case(b"HELLO") { name_in_hello(args) } else { args.next() };
        Some(Self { name, first, second, argc })
    }

    /// From words, for programs that build a request themselves.
    #[must_use]
    pub fn of(words: &[&'a [u8]]) -> Option<Self> {
        let argc = u32::try_from(words.len()).unwrap_or(u32::MAX);
        Self::read(words.iter().map(|word| Cow::Borrowed(*word)), argc)
    }

    /// What the request does to its connection.
    #[must_use]
    pub fn effect(&self) -> Effect {
        effect(&self.name, self.first.as_deref(), self.second.as_deref(), self.argc)
    }
}

/// What follows `SETNAME` in the options of `HELLO`.
fn name_in_hello<'a>(mut options: impl Iterator<Item = Cow<'a, [u8]>>) -> Option<Cow<'a, [u8]>> {
    loop {
        match options.next()? {
            word if word.eq_ignore_ascii_case(b"SETNAME") => return options.next(),
            // User and password may look like anything.
            word if word.eq_ignore_ascii_case(b"AUTH") => drop((options.next(), options.next())),
            _ => return None,
        }
    }
}

/// Kinds of subscription: each has its own commands and its own count.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Family {
    /// `SUBSCRIBE`
    Channel,
    /// `PSUBSCRIBE`
    Pattern,
    /// `SSUBSCRIBE`
    Shard,
}

/// What a command does to its connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Effect {
    /// One reply, nothing else.
    Plain,
    /// Sets the identity: never forwarded with the client's own credentials.
    Auth,
    /// May set identity and protocol version.
    Hello,
    /// Forgets everything, the identity included.
    Reset,
    /// Opens a transaction.
    Multi,
    /// Ends it.
    Exec,
    /// Ends it.
    Discard,
    /// Changes the meaning of the next command only: `ASKING`, `CLIENT CACHING`.
    OneShot,
    /// `CLIENT REPLY OFF`: no replies until further notice.
    ReplyOff,
    /// `CLIENT REPLY ON`: answered even behind a SKIP.
    ReplyOn,
    /// `CLIENT REPLY SKIP`: no reply to this command and the next.
    ReplySkip,
    /// `CLIENT TRACKING`: invalidation pushes may come at any time.
    Tracking,
    /// One confirmation for each channel.
    Subscribe(Family),
    /// One confirmation for each channel; without arguments one for each subscription of its family.
    Unsubscribe(Family),
    /// Unbounded replies.
    Monitor,
    /// Its reply may be late by design.
    Blocking,
    /// Another database.
    Select,
    /// Where the nodes of a cluster are: `CLUSTER SLOTS`, `SHARDS`, `NODES`, `REPLICAS`.
    Topology,
    /// Another connection name.
    SetName,
    /// Changes the protocol in ways that cannot be followed: replication, script debugger.
    Foreign,
}

const LONGEST: usize = 12;

/// Classifies a command by its name and first two arguments. Names of no known effect are [`Effect::Plain`].
#[must_use]
pub fn effect(name: &[u8], first: Option<&[u8]>, second: Option<&[u8]>, argc: u32) -> Effect {
    let mut upper = [0_u8; LONGEST];
    let Some(name) = uppercase(name, &mut upper) else { return Effect::Plain };
    match name {
        // With any other number of arguments it is an error that Redis itself reports.
        b"AUTH" if matches!(argc, 2 | 3) => Effect::Auth,
        b"HELLO" => Effect::Hello,
        b"RESET" => Effect::Reset,
        b"MULTI" => Effect::Multi,
        b"EXEC" => Effect::Exec,
        b"DISCARD" => Effect::Discard,
        b"ASKING" => Effect::OneShot,
        b"CLIENT" => client(first.unwrap_or_default(), second.unwrap_or_default(), argc),
        b"SUBSCRIBE" => Effect::Subscribe(Family::Channel),
        b"PSUBSCRIBE" => Effect::Subscribe(Family::Pattern),
        b"SSUBSCRIBE" => Effect::Subscribe(Family::Shard),
        b"UNSUBSCRIBE" => Effect::Unsubscribe(Family::Channel),
        b"PUNSUBSCRIBE" => Effect::Unsubscribe(Family::Pattern),
        b"SUNSUBSCRIBE" => Effect::Unsubscribe(Family::Shard),
        b"MONITOR" => Effect::Monitor,
        // XREAD and XREADGROUP block only with BLOCK; an AUTH before one that does not costs a round trip per token.
        b"BLPOP" | b"BRPOP" | b"BRPOPLPUSH" | b"BLMOVE" | b"BLMPOP" | b"BZPOPMIN" | b"BZPOPMAX" | b"BZMPOP"
        | b"XREAD" | b"XREADGROUP" | b"WAIT" | b"WAITAOF" => Effect::Blocking,
        b"SELECT" if argc == 2 => Effect::Select,
        b"CLUSTER" if first.is_some_and(is_topology) => Effect::Topology,
        b"SYNC" | b"PSYNC" | b"REPLCONF" => Effect::Foreign,
        b"SCRIPT" if first.is_some_and(|word| word.eq_ignore_ascii_case(b"DEBUG")) => Effect::Foreign,
        _ => Effect::Plain,
    }
}

fn client(first: &[u8], second: &[u8], argc: u32) -> Effect {
    let mut upper = [0_u8; LONGEST];
    match uppercase(first, &mut upper) {
        Some(b"CACHING") => Effect::OneShot,
        Some(b"TRACKING") => Effect::Tracking,
        Some(b"SETNAME") if argc == 3 => Effect::SetName,
        // Anything but these three exact forms is answered in the ordinary way.
        Some(b"REPLY") if argc == 3 && second.eq_ignore_ascii_case(b"ON") => Effect::ReplyOn,
        Some(b"REPLY") if argc == 3 && second.eq_ignore_ascii_case(b"OFF") => Effect::ReplyOff,
        Some(b"REPLY") if argc == 3 && second.eq_ignore_ascii_case(b"SKIP") => Effect::ReplySkip,
        _ => Effect::Plain,
    }
}

fn is_topology(word: &[u8]) -> bool {
    [&b"SLOTS"[..], b"SHARDS", b"NODES", b"REPLICAS", b"SLAVES"].iter().any(|known| word.eq_ignore_ascii_case(known))
}

/// The word in upper case; `None` when it is longer than any word that has an effect.
fn uppercase<'a>(word: &[u8], space: &'a mut [u8; LONGEST]) -> Option<&'a [u8]> {
    let target = space.get_mut(..word.len())?;
    for (to, from) in target.iter_mut().zip(word) {
        *to = from.to_ascii_uppercase();
    }
    Some(target)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(line: &str) -> Effect {
        let words: Vec<&[u8]> = line.split(' ').map(str::as_bytes).collect();
        Request::of(&words).unwrap().effect()
    }

    #[test]
    fn commands_are_known_in_any_case() {
        assert_eq!(of("auth u p"), Effect::Auth);
        assert_eq!(of("cLiEnT rEpLy sKiP"), Effect::ReplySkip);
        assert_eq!(of("client reply on"), Effect::ReplyOn);
        assert_eq!(of("auth"), Effect::Plain);
        assert_eq!(of("auth a b c"), Effect::Plain);
        assert_eq!(of("client reply off extra"), Effect::Plain);
        assert_eq!(of("client caching yes"), Effect::OneShot);
        assert_eq!(of("pUnSubscribe"), Effect::Unsubscribe(Family::Pattern));
        assert_eq!(of("script debug yes"), Effect::Foreign);
        assert_eq!(of("script load x"), Effect::Plain);
        assert_eq!(of("get authx"), Effect::Plain);
        assert_eq!(of("averyveryverylongcommandname"), Effect::Plain);
        assert_eq!(of(""), Effect::Plain);
    }
}
