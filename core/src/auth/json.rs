//! Reads the JSON of an auth chain as JavaScript's `JSON.parse` does: of equal keys the last counts.

use serde::Deserialize;
use serde::de::{Deserializer, Error, IgnoredAny, MapAccess, SeqAccess, Visitor};
use std::fmt;

/// The links of a JSON array, at most `LIMIT` of them; more are counted and dropped.
pub(super) struct RawChain<const LIMIT: usize> {
    pub(super) links: Vec<RawLink>,
    pub(super) is_too_long: bool,
}

/// An element of the array.
pub(super) enum RawLink {
    /// `null`, from which JavaScript cannot read a property.
    Null,
    /// An object's fields; all absent for a number, a text or another value without them.
    Fields { kind: RawField, payload: RawField, signature: RawField },
}

/// A field of a link.
#[derive(Default)]
pub(super) enum RawField {
    /// The key is absent, or its value is not a text.
    #[default]
    NotText,
    Text(String),
}

impl RawField {
    pub(super) fn text(self) -> Option<String> {
        match self {
            Self::NotText => None,
            Self::Text(text) => Some(text),
        }
    }
}

impl RawLink {
    fn without_fields() -> Self {
        Self::Fields { kind: RawField::NotText, payload: RawField::NotText, signature: RawField::NotText }
    }
}

impl<'de, const LIMIT: usize> Deserialize<'de> for RawChain<LIMIT> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_seq(ChainVisitor::<LIMIT>)
    }
}

struct ChainVisitor<const LIMIT: usize>;

impl<'de, const LIMIT: usize> Visitor<'de> for ChainVisitor<LIMIT> {
    type Value = RawChain<LIMIT>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an array of links")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut elements: A) -> Result<Self::Value, A::Error> {
        let mut links = Vec::new();
        while links.len() < LIMIT {
            match elements.next_element()? {
                Some(link) => links.push(link),
                None => return Ok(RawChain { links, is_too_long: false }),
            }
        }
        let mut is_too_long = false;
        while elements.next_element::<IgnoredAny>()?.is_some() {
            is_too_long = true;
        }
        Ok(RawChain { links, is_too_long })
    }
}

/// Takes a JSON value that is no text and holds nothing of interest.
macro_rules! visit_scalars {
    ($answer:expr) => {
        fn visit_bool<E: Error>(self, _: bool) -> Result<Self::Value, E> {
            Ok($answer)
        }

        fn visit_i64<E: Error>(self, _: i64) -> Result<Self::Value, E> {
            Ok($answer)
        }

        fn visit_u64<E: Error>(self, _: u64) -> Result<Self::Value, E> {
            Ok($answer)
        }

        fn visit_f64<E: Error>(self, _: f64) -> Result<Self::Value, E> {
            Ok($answer)
        }

        fn visit_seq<A: SeqAccess<'de>>(self, mut elements: A) -> Result<Self::Value, A::Error> {
            while elements.next_element::<IgnoredAny>()?.is_some() {}
            Ok($answer)
        }
    };
}

impl<'de> Deserialize<'de> for RawLink {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(LinkVisitor)
    }
}

struct LinkVisitor;

impl<'de> Visitor<'de> for LinkVisitor {
    type Value = RawLink;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a link")
    }

    fn visit_unit<E: Error>(self) -> Result<RawLink, E> {
        Ok(RawLink::Null)
    }

    fn visit_str<E: Error>(self, _: &str) -> Result<RawLink, E> {
        Ok(RawLink::without_fields())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<RawLink, A::Error> {
        let (mut kind, mut payload, mut signature) = Default::default();
        while let Some(key) = entries.next_key::<String>()? {
            match key.as_str() {
                "type" => kind = entries.next_value()?,
                "payload" => payload = entries.next_value()?,
                "signature" => signature = entries.next_value()?,
                _ => drop(entries.next_value::<IgnoredAny>()?),
            }
        }
        Ok(RawLink::Fields { kind, payload, signature })
    }

    visit_scalars!(RawLink::without_fields());
}

impl<'de> Deserialize<'de> for RawField {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(FieldVisitor)
    }
}

struct FieldVisitor;

impl<'de> Visitor<'de> for FieldVisitor {
    type Value = RawField;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a field of a link")
    }

    fn visit_unit<E: Error>(self) -> Result<RawField, E> {
        Ok(RawField::NotText)
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<RawField, E> {
        Ok(RawField::Text(text.to_owned()))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<RawField, A::Error> {
        while entries.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
        Ok(RawField::NotText)
    }

    visit_scalars!(RawField::NotText);
}
