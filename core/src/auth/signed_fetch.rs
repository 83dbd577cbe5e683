//! A signed request (ADR-44): proof of an address in one message, without a challenge.

use super::challenge::ServerName;
use super::json::RawField;
use serde::de::{Deserializer, IgnoredAny, MapAccess, Visitor};
use serde_json::error::Category;
use std::fmt;

/// How far the timestamp of a [`SignedFetch`] may be from the server's clock, in milliseconds, in both directions.
pub const SIGNED_FETCH_WINDOW_MS: u64 = 60_000;
/// The longest metadata of a [`SignedFetch`], in bytes.
pub const MAX_METADATA_BYTES: usize = 4096;

/// The key of the metadata that names the server a request is for.
const SERVER: &str = "server";

/// A request as a client shows it beside the auth chain that signs it.
#[derive(Clone, Debug)]
pub struct SignedFetch {
    /// What is asked for, as an HTTP method would say it; the native protocol says `connect`. The server's own word.
    pub method: String,
    /// Where, without host and query; the native protocol says `/atoll`. The server's own word.
    pub path: String,
    /// When it was signed, in milliseconds since 1970.
    pub timestamp_ms: u64,
    /// The JSON text of an object whose `server` is the name of the server. In its original case: see
    /// [`payload`](Self::payload).
    pub metadata: String,
}

/// Why a signed request is refused, whatever its auth chain says.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SignedFetchError {
    /// It was signed too long ago, or in a stretch of time of which the server no longer knows what was used in it
    /// (only when the server's clock was set back).
    #[error("signed at {timestamp} ms, which is too long before {now} ms")]
    TooOld {
        /// Milliseconds since 1970.
        timestamp: u64,
        /// The server's clock, in milliseconds since 1970.
        now: u64,
    },
    /// By the server's clock, it will be signed in a while.
    #[error("signed at {timestamp} ms, which is too long after {now} ms")]
    TooNew {
        /// Milliseconds since 1970.
        timestamp: u64,
        /// The server's clock, in milliseconds since 1970.
        now: u64,
    },
    /// The metadata is longer than [`MAX_METADATA_BYTES`].
    #[error("metadata of {0} bytes, more than {MAX_METADATA_BYTES}")]
    MetadataTooLong(usize),
    /// The metadata is not JSON.
    #[error("metadata is not JSON: line {line}, column {column}")]
    MetadataNotJson {
        /// Where reading stopped, from 1.
        line: usize,
        /// Where reading stopped, in bytes from 1.
        column: usize,
    },
    /// The metadata is JSON, but not an object.
    #[error("metadata is not an object")]
    MetadataNotAnObject,
    /// The metadata has no key `server`, spelled so.
    #[error("metadata names no server")]
    NoServer,
    /// More than one key of the metadata is `server` when case is ignored. The signature ignores it, so it does not
    /// tell which of them the signer meant.
    #[error("metadata names more than one server")]
    SeveralServers,
    /// The metadata's `server` is not the name of this server.
    #[error("signed for another server")]
    OtherServer,
    /// It was shown before.
    #[error("a signed fetch works once")]
    Used,
}

impl SignedFetch {
    /// The text that the auth chain has to end in: `method:path:timestamp:metadata`, all of it in lower case.
    ///
    /// Lower case is what JavaScript's `toLowerCase` makes, because clients and other services of the region do it so:
    /// Unicode's full mapping without a locale, where `İ` becomes two characters and a `Σ` that ends a word becomes
    /// `ς`. Rust's `str::to_lowercase` is the same: compared with Node.js character by character and around `Σ`, no
    /// difference was found where both know the same version of Unicode. Other runtimes map letters beyond ASCII
    /// otherwise (.NET leaves `İ` and knows no `ς`; `ToLower` of a Turkish machine even breaks ASCII). Such a chain ends
    /// in another text and is refused; a client is safe when it writes those letters as `\u` escapes.
    pub fn payload(&self) -> String {
        format!("{}:{}:{}:{}", self.method, self.path, self.timestamp_ms, self.metadata).to_lowercase()
    }

    /// Checks all that needs neither a signature nor a memory: the time (`now` in milliseconds since 1970) and the
    /// server.
    ///
    /// # Errors
    /// [`SignedFetchError`], except [`SignedFetchError::Used`].
    pub fn check(&self, server: &ServerName, now: u64) -> Result<(), SignedFetchError> {
        match self.check_unbound(server, now)? {
            true => Ok(()),
            false => Err(SignedFetchError::NoServer),
        }
    }

    /// The same for a request that need not name a server, as those of existing kernels do not; it tells whether it does.
    /// Whoever sees a request without one can show it to another server within its time.
    ///
    /// # Errors
    /// [`SignedFetchError`], except [`SignedFetchError::Used`].
    pub fn check_unbound(&self, server: &ServerName, now: u64) -> Result<bool, SignedFetchError> {
        check_time(self.timestamp_ms, now)?;
        if self.metadata.len() > MAX_METADATA_BYTES {
            return Err(SignedFetchError::MetadataTooLong(self.metadata.len()));
        }
        let Named { in_any_case, exactly } = self.named(SERVER)?;
        // Whoever sees a signed request can change the case of its metadata without breaking the signature. So the
        // answer must be the same for every case, or a refusal: a request signed with {"server": "a", "SERVER": "b"}
        // for `a` could otherwise be shown to `b` as {"SERVER": "a", "server": "b"}. Names of servers are lower-case,
        // and escapes keep their meaning when their digits change case.
        if in_any_case > 1 {
            return Err(SignedFetchError::SeveralServers);
        }
        match exactly {
            None if in_any_case == 0 => Ok(false),
            None => Err(SignedFetchError::NoServer),
            Some(RawField::Text(name)) if name == server.as_str() => Ok(true),
            Some(_) => Err(SignedFetchError::OtherServer),
        }
    }

    /// Whether `key` of the metadata is the text `value`. Both are to be in lower case, and the metadata is to have no other
    /// key that differs from `key` in case only: the signature says nothing about case.
    pub fn says(&self, key: &str, value: &str) -> bool {
        let said = self.named(key).ok().filter(|named| named.in_any_case == 1).and_then(|named| named.exactly);
        matches!(said, Some(RawField::Text(text)) if text == value)
    }

    fn named(&self, key: &str) -> Result<Named, SignedFetchError> {
        let mut metadata = serde_json::Deserializer::from_str(&self.metadata);
        let named = metadata.deserialize_map(Keys(key)).and_then(|named| metadata.end().map(|()| named));
        named.map_err(json_error)
    }
}

/// Whether a request of `timestamp` can be taken at `now`.
pub(super) fn check_time(timestamp: u64, now: u64) -> Result<(), SignedFetchError> {
    if timestamp.abs_diff(now) <= SIGNED_FETCH_WINDOW_MS {
        return Ok(());
    }
    Err(match timestamp < now {
        true => SignedFetchError::TooOld { timestamp, now },
        false => SignedFetchError::TooNew { timestamp, now },
    })
}

fn json_error(error: serde_json::Error) -> SignedFetchError {
    match error.classify() {
        Category::Data => SignedFetchError::MetadataNotAnObject,
        _ => SignedFetchError::MetadataNotJson { line: error.line(), column: error.column() },
    }
}

/// What an object says under a key.
struct Named {
    /// How many of its keys are this one in any case.
    in_any_case: usize,
    /// The value of the key spelled exactly so.
    exactly: Option<RawField>,
}

/// Looks for a key, in lower case, of an object.
struct Keys<'a>(&'a str);

impl<'de> Visitor<'de> for Keys<'_> {
    type Value = Named;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Named, A::Error> {
        let mut named = Named { in_any_case: 0, exactly: None };
        while let Some(key) = entries.next_key::<String>()? {
            named.in_any_case += usize::from(key.to_lowercase() == self.0);
            if key == self.0 {
                named.exactly = Some(entries.next_value()?);
            } else {
                entries.next_value::<IgnoredAny>()?;
            }
        }
        Ok(named)
    }
}

#[cfg(test)]
mod tests;
