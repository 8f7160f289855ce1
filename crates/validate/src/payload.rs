//! The claims that checks are made by, read straight from a token's JSON.
//!
//! The whole payload is parsed as strictly as into a `serde_json::Map` (text, numbers and depth of members that
//! nobody asks for included) and nothing of it is kept but what the checks need: a map of everything takes three
//! times as long. Stricter than a map in one point: a checked claim that is named twice is an error (RFC 7519 §4).

use std::borrow::Cow;
use std::fmt;

use serde::de::{Deserialize, Deserializer, Error as _, MapAccess, SeqAccess, Visitor};

use crate::Rejected;

/// The value of one claim, as much of it as a check can depend on.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) enum Claim<'a> {
    #[default]
    Absent,
    Null,
    Number(f64),
    Text(Cow<'a, str>),
    /// The texts of an array; whatever else is in it does not count.
    Texts(Vec<Cow<'a, str>>),
    /// `true`, `false` or an object.
    Other,
}

impl Claim<'_> {
    pub(crate) fn text(&self) -> Option<&str> {
        if let Self::Text(text) = self { Some(text) } else { None }
    }

    /// A GUID.
    pub(crate) fn id<T: std::str::FromStr>(&self) -> Option<T> {
        self.text().and_then(|text| text.parse().ok())
    }

    /// One text or several.
    pub(crate) fn texts(&self) -> Vec<&str> {
        match self {
            Self::Text(one) => vec![one],
            Self::Texts(many) => many.iter().map(AsRef::as_ref).collect(),
            _ => Vec::new(),
        }
    }

    /// Present and not `null`.
    pub(crate) fn is_given(&self) -> bool {
        !matches!(self, Self::Absent | Self::Null)
    }
}

/// Makes the struct of the checked claims and the search for a claim's place by its name.
macro_rules! claims {
    ($($name:ident)+) => {
        /// The checked claims, each by its own name.
        #[derive(Clone, Debug, Default, PartialEq)]
        pub(crate) struct Claims<'a> {
            $(pub(crate) $name: Claim<'a>,)+
        }

        /// The name of a member: one of the checked claims, or any other.
        #[derive(Clone, Copy)]
        #[expect(non_camel_case_types, reason = "named as the claims are")]
        enum Name {
            $($name,)+
            other,
        }

        impl<'a> Claims<'a> {
            fn place(&mut self, name: Name) -> Option<&mut Claim<'a>> {
                match name {
                    $(Name::$name => Some(&mut self.$name),)+
                    Name::other => None,
                }
            }
        }

        impl Name {
            fn of(text: &str) -> Self {
                match text {
                    $(stringify!($name) => Self::$name,)+
                    _ => Self::other,
                }
            }
        }
    };
}

claims!(iss aud exp nbf iat sub tid oid azp appid scp roles nonce at_hash c_hash auth_time xms_emulator);

impl<'a> Claims<'a> {
    /// Reads a payload.
    pub(crate) fn read(payload: &'a [u8]) -> Result<Self, Rejected> {
        let unreadable = Rejected::Malformed("the claims are not a JSON object that names each claim once");
        // Checked as a whole: the parser need not check each text of it.
        let Ok(text) = std::str::from_utf8(payload) else { return Err(unreadable) };
        serde_json::from_str(text).map_err(|_| unreadable)
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for Claims<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Object;
        impl<'de> Visitor<'de> for Object {
            type Value = Claims<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Claims<'de>, A::Error> {
                let mut claims = Claims::default();
                while let Some(name) = map.next_key::<Name>()? {
                    match claims.place(name) {
                        None => {
                            let Anything = map.next_value()?;
                        }
                        Some(place @ Claim::Absent) => *place = map.next_value()?,
                        Some(_) => return Err(A::Error::custom("a claim is named twice")),
                    }
                }
                Ok(claims)
            }
        }
        deserializer.deserialize_map(Object)
    }
}

impl<'de> Deserialize<'de> for Name {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Text;
        impl Visitor<'_> for Text {
            type Value = Name;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a name")
            }

            fn visit_str<E>(self, text: &str) -> Result<Name, E> {
                Ok(Name::of(text))
            }
        }
        deserializer.deserialize_str(Text)
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for Claim<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Value;
        impl<'de> Visitor<'de> for Value {
            type Value = Claim<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a value")
            }

            fn visit_unit<E>(self) -> Result<Claim<'de>, E> {
                Ok(Claim::Null)
            }

            fn visit_bool<E>(self, _: bool) -> Result<Claim<'de>, E> {
                Ok(Claim::Other)
            }

            #[expect(clippy::cast_precision_loss, reason = "as `serde_json::Value::as_f64`; dates are exact")]
            fn visit_u64<E>(self, number: u64) -> Result<Claim<'de>, E> {
                Ok(Claim::Number(number as f64))
            }

            #[expect(clippy::cast_precision_loss, reason = "as `serde_json::Value::as_f64`; dates are exact")]
            fn visit_i64<E>(self, number: i64) -> Result<Claim<'de>, E> {
                Ok(Claim::Number(number as f64))
            }

            fn visit_f64<E>(self, number: f64) -> Result<Claim<'de>, E> {
                Ok(Claim::Number(number))
            }

            fn visit_borrowed_str<E>(self, text: &'de str) -> Result<Claim<'de>, E> {
                Ok(Claim::Text(Cow::Borrowed(text)))
            }

            fn visit_str<E>(self, text: &str) -> Result<Claim<'de>, E> {
                Ok(Claim::Text(Cow::Owned(text.to_owned())))
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Claim<'de>, A::Error> {
                let mut texts = Vec::new();
                while let Some(item) = items.next_element()? {
                    if let Claim::Text(text) = item {
                        texts.push(text);
                    }
                }
                Ok(Claim::Texts(texts))
            }

            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Claim<'de>, A::Error> {
                Anything.visit_map(map).map(|Anything| Claim::Other)
            }
        }
        deserializer.deserialize_any(Value)
    }
}

/// Any value, parsed and dropped. (`serde::de::IgnoredAny` will not do: for it `serde_json` skips text that is
/// no text, numbers beyond any range, and depth without limit.)
struct Anything;

impl<'de> Deserialize<'de> for Anything {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Self)
    }
}

impl<'de> Visitor<'de> for Anything {
    type Value = Self;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value")
    }

    fn visit_unit<E>(self) -> Result<Self, E> {
        Ok(self)
    }

    fn visit_bool<E>(self, _: bool) -> Result<Self, E> {
        Ok(self)
    }

    fn visit_u64<E>(self, _: u64) -> Result<Self, E> {
        Ok(self)
    }

    fn visit_i64<E>(self, _: i64) -> Result<Self, E> {
        Ok(self)
    }

    fn visit_f64<E>(self, _: f64) -> Result<Self, E> {
        Ok(self)
    }

    fn visit_str<E>(self, _: &str) -> Result<Self, E> {
        Ok(self)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Self, A::Error> {
        while let Some(Self) = items.next_element()? {}
        Ok(self)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self, A::Error> {
        while let Some(Self) = map.next_key()? {
            let Self = map.next_value()?;
        }
        Ok(self)
    }
}

#[cfg(test)]
mod tests;
