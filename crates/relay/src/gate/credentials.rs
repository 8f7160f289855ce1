//! The two commands that carry credentials, AUTH and HELLO: recognised, read, and written anew for the backend.

use bytes::BytesMut;
use entrant_proto::resp::{Args, RequestPiece, encode_command};
use entrant_types::{ObjectId, Secret};
use zeroize::Zeroizing;

/// A command that concerns who the client is.
#[derive(Debug)]
pub(super) enum Command {
    /// AUTH with user name and token. Everything else that AUTH can be given is a malformed one.
    Auth(Offered),
    /// AUTH with a password only: what the access-key way of logging in sends.
    AuthPasswordOnly,
    /// AUTH with no or too many arguments: answered with Redis's own error.
    AuthMalformed(usize),
    /// HELLO, with credentials or without.
    Hello(Hello),
    /// RESET: back to nobody.
    Reset,
    /// QUIT.
    Quit,
    /// Any other command.
    Other,
}

/// User name and password as the client sent them. The token is zeroed when dropped.
pub(super) struct Offered {
    pub(super) user: Vec<u8>,
    pub(super) token: Zeroizing<Vec<u8>>,
}

impl std::fmt::Debug for Offered {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Offered {{ token: {} bytes }}", self.token.len())
    }
}

/// A HELLO command's parts.
#[derive(Debug)]
pub(super) struct Hello {
    /// The version as written, if any.
    pub(super) version: Option<Vec<u8>>,
    /// The last AUTH option.
    pub(super) offered: Option<Offered>,
    /// What else it says, in order, up to and with the first word that is no option.
    rest: Vec<Vec<u8>>,
    /// Whether it is well-formed.
    pub(super) valid: bool,
}

/// Reads the command that begins `bytes`. Only complete commands are read: one that was cut into pieces is
/// [`Command::Other`] unless its name says otherwise, which [`is_credentials`] tells.
pub(super) fn read(bytes: &[u8]) -> Command {
    let mut args = Args::of(bytes);
    let Some(name) = args.next() else { return Command::Other };
    match name.len() {
        4 if name.eq_ignore_ascii_case(b"AUTH") => auth(args.map(std::borrow::Cow::into_owned).collect()),
        4 if name.eq_ignore_ascii_case(b"QUIT") => Command::Quit,
        5 if name.eq_ignore_ascii_case(b"HELLO") => {
            Command::Hello(hello(args.map(std::borrow::Cow::into_owned).collect()))
        }
        5 if name.eq_ignore_ascii_case(b"RESET") => Command::Reset,
        _ => Command::Other,
    }
}

/// Whether the command of this first piece must not be forwarded as it is. Looks at lengths before letters, since
/// it is asked for every command.
pub(super) fn is_credentials(bytes: &[u8], piece: &RequestPiece) -> bool {
    if !piece.first || piece.argc == 0 {
        return false;
    }
    // `*3\r\n$4\r\nAUTH`: a first argument that is neither 4 nor 5 bytes long is none of the names.
    if let [b'*', _, b'\r', b'\n', b'$', length, b'\r', ..] = bytes
        && !matches!(length, b'4' | b'5')
    {
        return false;
    }
    Args::of(bytes.get(..piece.len).unwrap_or_default())
        .next()
        .is_none_or(|name| [&b"AUTH"[..], b"HELLO", b"RESET", b"QUIT"].iter().any(|own| name.eq_ignore_ascii_case(own)))
}

fn auth(mut args: Vec<Vec<u8>>) -> Command {
    match (args.len(), args.pop(), args.pop()) {
        (2, Some(token), Some(user)) => Command::Auth(Offered { user, token: Zeroizing::new(token) }),
        (1, Some(password), _) => {
            drop(Zeroizing::new(password));
            Command::AuthPasswordOnly
        }
        (count, ..) => Command::AuthMalformed(count),
    }
}

fn hello(args: Vec<Vec<u8>>) -> Hello {
    let mut args = args.into_iter();
    let mut hello = Hello { version: args.next(), offered: None, rest: Vec::new(), valid: true };
    while let Some(option) = args.next() {
        if option.eq_ignore_ascii_case(b"AUTH") && args.len() >= 2 {
            if let (Some(user), Some(token)) = (args.next(), args.next()) {
                hello.offered = Some(Offered { user, token: Zeroizing::new(token) });
            }
        } else if option.eq_ignore_ascii_case(b"SETNAME") && args.len() >= 1 {
            hello.rest.push(option);
            hello.rest.extend(args.next());
        } else {
            // Redis answers a syntax error here. What follows is not forwarded: a server that knew the option
            // could find credentials in it.
            hello.valid = false;
            hello.rest.push(if option.eq_ignore_ascii_case(b"AUTH") { b"AUTH".to_vec() } else { option });
            break;
        }
    }
    hello
}

impl Hello {
    /// The same HELLO with the backend's credentials, or without any.
    pub(super) fn rewritten(&self, credentials: Option<(ObjectId, &Secret)>) -> BytesMut {
        let mut args: Vec<Vec<u8>> = vec![b"HELLO".to_vec()];
        args.extend(self.version.clone());
        if let Some((object_id, password)) = credentials {
            args.push(b"AUTH".to_vec());
            args.push(object_id.to_string().into_bytes());
            args.push(password.expose().as_bytes().to_vec());
        }
        args.extend(self.rest.iter().cloned());
        let mut out = BytesMut::new();
        encode_command(&mut out, &args);
        out
    }
}

/// `AUTH object-id password` for the backend.
pub(super) fn backend_auth(object_id: ObjectId, password: &Secret) -> BytesMut {
    let mut out = BytesMut::new();
    encode_command(&mut out, &[b"AUTH", object_id.to_string().as_bytes(), password.expose().as_bytes()]);
    out
}

#[cfg(test)]
mod tests {
    use entrant_proto::resp::{RequestFramer, RequestLimits};

    use super::*;

    fn piece(bytes: &[u8]) -> RequestPiece {
        RequestFramer::new(RequestLimits::AUTHENTICATED).next(bytes).unwrap().unwrap()
    }

    fn words(bytes: &[u8]) -> Vec<String> {
        Args::of(bytes).map(|arg| String::from_utf8_lossy(&arg).into_owned()).collect()
    }

    #[test]
    fn commands_with_credentials_are_recognised_in_every_form() {
        for bytes in [
            &b"*3\r\n$4\r\nAUTH\r\n$1\r\nu\r\n$1\r\np\r\n"[..],
            b"*3\r\n$4\r\nauth\r\n$1\r\nu\r\n$1\r\np\r\n",
            b"*12\r\n$5\r\nhElLo\r\n$1\r\n3\r\n$4\r\nAUTH\r\n$1\r\nu\r\n$1\r\np\r\n$1\r\nx\r\n$1\r\nx\r\n$1\r\nx\r\n$1\r\nx\r\n$1\r\nx\r\n$1\r\nx\r\n$1\r\nx\r\n",
            b"AUTH u p\r\n",
            b"  \"auth\" u p\r\n",
            b"RESET\r\n",
        ] {
            assert!(is_credentials(bytes, &piece(bytes)), "{}", String::from_utf8_lossy(bytes));
        }
        for bytes in [&b"*1\r\n$4\r\nPING\r\n"[..], b"*2\r\n$3\r\nGET\r\n$4\r\nAUTH\r\n", b"PING\r\n", b"*0\r\n"] {
            assert!(!is_credentials(bytes, &piece(bytes)), "{}", String::from_utf8_lossy(bytes));
        }
    }

    #[test]
    fn a_hello_is_rewritten_with_the_backend_s_credentials_only() {
        let Command::Hello(hello) = read(b"HELLO 3 SETNAME me AUTH user token\r\n") else { panic!("not a HELLO") };
        assert!(hello.valid);
        let oid: ObjectId = "00001111-aaaa-2222-bbbb-3333cccc4444".parse().unwrap();
        assert_eq!(
            words(&hello.rewritten(Some((oid, &Secret::from("random"))))),
            ["HELLO", "3", "AUTH", &oid.to_string(), "random", "SETNAME", "me"]
        );
        assert_eq!(words(&hello.rewritten(None)), ["HELLO", "3", "SETNAME", "me"]);
    }

    #[test]
    fn nothing_behind_an_unknown_option_reaches_the_backend() {
        let Command::Hello(hello) = read(b"HELLO 3 FUTURE AUTH default secret\r\n") else { panic!("not a HELLO") };
        assert!(!hello.valid);
        assert_eq!(words(&hello.rewritten(None)), ["HELLO", "3", "FUTURE"]);
    }
}
