//! Typed identifiers: a client id cannot be passed where an object id is meant.
//!
//! Mixing the two is the commonest human error of the field: a federated credential's subject and a
//! Redis user name are *object* (principal) ids, while sign-in configuration wants *client* ids.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// A GUID in the canonical 8-4-4-4-12 form, kept in lower case as Entra prints it.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Guid([u8; 16]);

/// The text is not a GUID.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NotAGuid;

impl fmt::Display for NotAGuid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(
            "not a GUID: expected 32 hexadecimal digits as 8-4-4-4-12, like 00001111-aaaa-2222-bbbb-3333cccc4444",
        )
    }
}

impl std::error::Error for NotAGuid {}

impl Guid {
    /// From its 16 bytes, in the order in which the text form prints them.
    #[must_use]
    pub const fn from_bytes(bytes: [u8; 16]) -> Self {
        Self(bytes)
    }

    /// Its 16 bytes, in the order in which the text form prints them.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; 16] {
        &self.0
    }
}

impl FromStr for Guid {
    type Err = NotAGuid;

    fn from_str(text: &str) -> Result<Self, NotAGuid> {
        let text = text.as_bytes();
        if text.len() != 36 {
            return Err(NotAGuid);
        }
        let mut bytes = [0_u8; 16];
        let mut nibble = 0_usize;
        for (position, byte) in text.iter().enumerate() {
            if matches!(position, 8 | 13 | 18 | 23) {
                if *byte != b'-' {
                    return Err(NotAGuid);
                }
                continue;
            }
            let digit = (*byte as char).to_digit(16).ok_or(NotAGuid)? as u8;
            bytes[nibble / 2] = bytes[nibble / 2] << 4 | digit;
            nibble += 1;
        }
        Ok(Self(bytes))
    }
}

impl TryFrom<String> for Guid {
    type Error = NotAGuid;

    fn try_from(text: String) -> Result<Self, NotAGuid> {
        text.parse()
    }
}

impl From<Guid> for String {
    fn from(guid: Guid) -> Self {
        guid.to_string()
    }
}

impl fmt::Display for Guid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, byte) in self.0.iter().enumerate() {
            if matches!(index, 4 | 6 | 8 | 10) {
                f.write_str("-")?;
            }
            write!(f, "{byte:02x}")?;
        }
        Ok(())
    }
}

impl fmt::Debug for Guid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

macro_rules! guid_id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(Guid);

        impl $name {
            /// Names `guid` as this kind of id.
            #[must_use]
            pub const fn new(guid: Guid) -> Self {
                Self(guid)
            }

            /// The plain GUID.
            #[must_use]
            pub const fn guid(&self) -> Guid {
                self.0
            }
        }

        impl FromStr for $name {
            type Err = NotAGuid;

            fn from_str(text: &str) -> Result<Self, NotAGuid> {
                text.parse().map(Self)
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(&self.0, f)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!(stringify!($name), "({})"), self.0)
            }
        }
    };
}

guid_id! {
    /// The directory (tenant) that issues a token: claim `tid`.
    TenantId
}
guid_id! {
    /// An application (client) id: of an app registration, or of a managed identity. Claims `appid`, `azp`.
    ClientId
}
guid_id! {
    /// An object (principal) id: the directory object behind a user, a service principal or a managed
    /// identity. Claim `oid`; the user name of a Redis `AUTH`; the subject of a federated credential.
    ObjectId
}

/// An account's home identity, `uid.utid` of the token reply's `client_info`: stable across tenants.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct HomeAccountId(String);

impl HomeAccountId {
    /// From the object id and tenant id of the account's home directory.
    #[must_use]
    pub fn new(uid: &str, utid: &str) -> Self {
        Self(format!("{uid}.{utid}"))
    }

    /// `uid.utid`.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_guid_prints_in_lower_case_as_entra_prints_it() {
        let guid: Guid = "FB60F99C-7A34-4190-8149-302F77469936".parse().unwrap();
        assert_eq!(guid.to_string(), "fb60f99c-7a34-4190-8149-302f77469936");
    }

    #[test]
    fn anything_but_the_canonical_form_is_refused() {
        for text in [
            "",
            "fb60f99c7a3441908149302f77469936",
            "fb60f99c-7a34-4190-8149-302f7746993g",
            "fb60f99c_7a34-4190-8149-302f77469936",
            "ж60f99c-7a34-4190-8149-302f7746993",
        ] {
            assert_eq!(text.parse::<Guid>(), Err(NotAGuid), "{text}");
        }
    }
}
