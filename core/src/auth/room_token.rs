//! Tokens that let one address into one WebSocket room: JSON Web Tokens, as the rooms of 2022 and 2023 took them.
//!
//! They are signed with HS256. `peerId` is the address, `aud` the room's URL, of which the last two parts of the path count:
//! proxies rewrite the rest. One with `exp` holds until then; one without, as the originals made them, for a day after `iat`.

use super::jwt::{Refused, decoded};
use crate::room::SessionId;
use atoll_proto::Address;
use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, Header, encode};
use serde::{Deserialize, Serialize};
use std::fmt;

/// How long a token of ours holds, in seconds: from the news of an island to the connection to its room, and for those who
/// lose it soon.
pub const ROOM_TOKEN_SECONDS: u64 = 300;

/// How long a token without an end holds, in seconds.
const UNENDING_SECONDS: f64 = 24.0 * 3600.0;

/// How far the clock of who signed may be ahead, in seconds.
const SKEW_SECONDS: f64 = 300.0;

/// The longest token that is read, in bytes.
const MAX_TOKEN: usize = 4096;

/// What the path of a room ends in before its name, by generation.
const PATHS: [&str; 2] = ["rooms", "ws-rooms"];

/// Why a token lets nobody in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum RoomTokenError {
    /// It is no token, or its claims are not those of a room's.
    #[error("no token for a room")]
    Malformed,
    /// It is signed in another way than with HS256, or not at all.
    #[error("a token has to be signed with HS256")]
    Algorithm,
    /// No key fits its signature.
    #[error("the token's signature does not hold")]
    Signature,
    /// Its time is over: at `exp`, or a day after `iat`.
    #[error("the token's time is over")]
    Expired,
    /// It says neither until when it holds nor when it was made, or its time is yet to come.
    #[error("the token does not hold now")]
    NotNow,
    /// It is for another room.
    #[error("the token is for another room")]
    OtherRoom,
    /// Its peer is no address.
    #[error("the token is for no address")]
    NoAddress,
}

/// Who a token lets in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RoomToken {
    /// The peer.
    pub address: Address,
    /// The session it was made for, when it is one of ours.
    pub session: Option<SessionId>,
}

/// The keys of a region's rooms. Tokens are made with the first; those of the second, which was the first before, are taken.
#[derive(Clone)]
pub struct RoomKeys {
    encoding: EncodingKey,
    decoding: Vec<DecodingKey>,
}

/// What is read. Times may have fractions.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Claims {
    peer_id: String,
    aud: Audience,
    iat: Option<f64>,
    nbf: Option<f64>,
    exp: Option<f64>,
    sid: Option<u64>,
}

/// What is written.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Minted<'a> {
    peer_id: String,
    aud: &'a str,
    iat: u64,
    exp: u64,
    /// The session, by which a second connection of one is told from another session.
    #[serde(skip_serializing_if = "Option::is_none")]
    sid: Option<u64>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Audience {
    One(String),
    Some(Vec<String>),
}

impl RoomKeys {
    /// Keys made of the bytes of one secret, or of two.
    pub fn new(secret: &[u8], former: Option<&[u8]>) -> Self {
        let secrets = [Some(secret), former].into_iter().flatten();
        Self { encoding: EncodingKey::from_secret(secret), decoding: secrets.map(DecodingKey::from_secret).collect() }
    }

    /// A token for the room at `url`, made at `now` (seconds since 1970), which holds for [`ROOM_TOKEN_SECONDS`].
    ///
    /// # Errors
    /// [`RoomTokenError::Malformed`], which no URL and address come to.
    pub fn mint(
        &self,
        url: &str,
        address: Address,
        session: Option<SessionId>,
        now: u64,
    ) -> Result<String, RoomTokenError> {
        let claims = Minted {
            peer_id: address.to_string(),
            aud: url,
            iat: now,
            exp: now + ROOM_TOKEN_SECONDS,
            sid: session.map(|SessionId(id)| id),
        };
        encode(&Header::new(Algorithm::HS256), &claims, &self.encoding).map_err(|_| RoomTokenError::Malformed)
    }

    /// Who `token` lets into the room of this name at `now` (seconds since 1970).
    ///
    /// # Errors
    /// [`RoomTokenError`].
    pub fn verify(&self, token: &str, room: &str, now: u64) -> Result<RoomToken, RoomTokenError> {
        let claims = self.claims(token)?;
        in_time(&claims, now as f64)?;
        let is_for_room = match &claims.aud {
            Audience::One(url) => names_room(url, room),
            Audience::Some(urls) => urls.iter().any(|url| names_room(url, room)),
        };
        if !is_for_room {
            return Err(RoomTokenError::OtherRoom);
        }
        let address = claims.peer_id.parse().map_err(|_| RoomTokenError::NoAddress)?;
        Ok(RoomToken { address, session: claims.sid.map(SessionId) })
    }

    fn claims(&self, token: &str) -> Result<Claims, RoomTokenError> {
        if token.len() > MAX_TOKEN {
            return Err(RoomTokenError::Malformed);
        }
        let mut refused = RoomTokenError::Signature;
        for key in &self.decoding {
            match decoded(token, key, &[Algorithm::HS256]) {
                Ok(claims) => return Ok(claims),
                Err(error) => refused = error.into(),
            }
        }
        Err(refused)
    }
}

impl fmt::Debug for RoomKeys {
    /// Keeps the keys to itself.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RoomKeys").field("keys", &self.decoding.len()).finish_non_exhaustive()
    }
}

impl From<Refused> for RoomTokenError {
    fn from(refused: Refused) -> Self {
        match refused {
            Refused::Malformed => Self::Malformed,
            Refused::Algorithm => Self::Algorithm,
            Refused::Signature => Self::Signature,
        }
    }
}

fn in_time(claims: &Claims, now: f64) -> Result<(), RoomTokenError> {
    let is_early = [claims.nbf, claims.iat].into_iter().flatten().any(|from| from > now + SKEW_SECONDS);
    if is_early {
        return Err(RoomTokenError::NotNow);
    }
    let end = match (claims.exp, claims.iat) {
        (Some(exp), _) => exp,
        (None, Some(iat)) => iat + UNENDING_SECONDS,
        (None, None) => return Err(RoomTokenError::NotNow),
    };
    if now < end { Ok(()) } else { Err(RoomTokenError::Expired) }
}

/// Whether the path of `url` ends in that of a room of this name.
fn names_room(url: &str, room: &str) -> bool {
    let plain = url.split(['?', '#']).next().unwrap_or_default();
    let path = match plain.split_once("://") {
        Some((_, rest)) => rest.split_once('/').map_or("", |(_, path)| path),
        None => plain,
    };
    let mut parts = path.rsplit('/');
    let (name, kind) = (parts.next().unwrap_or_default(), parts.next().unwrap_or_default());
    PATHS.contains(&kind) && percent_decoded(name).is_some_and(|name| name == room.as_bytes())
}

fn percent_decoded(text: &str) -> Option<Vec<u8>> {
    let mut bytes = text.bytes();
    let mut decoded = Vec::with_capacity(text.len());
    while let Some(byte) = bytes.next() {
        if byte != b'%' {
            decoded.push(byte);
            continue;
        }
        let digits = [bytes.next()?, bytes.next()?].map(|digit| char::from(digit).to_digit(16));
        let [Some(high), Some(low)] = digits else { return None };
        decoded.push((high << 4 | low) as u8);
    }
    Some(decoded)
}

#[cfg(test)]
#[path = "room_token_tests.rs"]
mod tests;
