//! LiveKit's access tokens: JSON Web Tokens that let one identity into one room.
//!
//! They are signed with HS256, HS384 or HS512 by the secret of an API key, which is their issuer (`iss`). `sub` is the identity, here an
//! address; `video` has the room and what may be done there. `exp` and `nbf` hold to the second. What is taken is what
//! livekit-server-sdk takes; those made here are as archipelago's last version wrote them, and name the session.

mod calling;
mod minting;

pub use calling::LivekitCaller;

use super::jwt::{Refused, decoded};
use crate::room::SessionId;
use atoll_proto::Address;
use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey};
use serde::{Deserialize, Deserializer};
use std::collections::BTreeMap;
use std::fmt;

/// How long a token of ours holds, in seconds: from the news of an island to the connection to its room, and for those who
/// lose it soon.
pub const LIVEKIT_TOKEN_SECONDS: u64 = 300;

/// The longest token that is read, in bytes; it may carry metadata.
const MAX_TOKEN: usize = 8192;

const ALGORITHMS: [Algorithm; 3] = [Algorithm::HS256, Algorithm::HS384, Algorithm::HS512];

/// Why a token lets nobody in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum LivekitTokenError {
    /// It is no token, or its claims are not those of LiveKit's. (401)
    #[error("no LiveKit token")]
    Malformed,
    /// It is signed in another way than with HS256, HS384 or HS512, or not at all. (401)
    #[error("a LiveKit token has to be signed with HS256, HS384 or HS512")]
    Algorithm,
    /// No secret fits its signature. (401)
    #[error("the token's signature does not hold")]
    Signature,
    /// The secret that signed it is another API key's than its issuer. (401)
    #[error("the token's issuer is another API key")]
    Issuer,
    /// Its time is over. (401)
    #[error("the token's time is over")]
    Expired,
    /// Its time is yet to come. (401)
    #[error("the token does not hold yet")]
    NotNow,
    /// It holds, but not for joining a room: `video.roomJoin` is not true, or `video.room` is missing or empty. (403)
    #[error("the token is not for joining a room")]
    NoJoin,
    /// It holds, for another room. (403)
    #[error("the token is for another room")]
    OtherRoom,
    /// It holds, for nobody: `sub` is missing or empty. (403)
    #[error("the token names nobody")]
    NoIdentity,
    /// It holds, but who it names is no address, and seats are of addresses. (403)
    #[error("the token is for no address")]
    NoAddress,
}

/// Who a token lets into which room, and to do what.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LivekitToken {
    /// The participant (`sub`); never empty.
    pub identity: String,
    /// The room; never empty.
    pub room: String,
    /// The session it was made for, when it is one of ours.
    pub session: Option<SessionId>,
    /// What the participant is shown as; may be empty.
    pub name: String,
    /// The participant's metadata at the start.
    pub metadata: Option<String>,
    /// The participant's attributes at the start.
    pub attributes: BTreeMap<String, String>,
    /// What it may do.
    pub grants: LivekitGrants,
}

/// What a token allows in its room, with LiveKit's defaults for what it does not mention.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LivekitGrants {
    /// Whether tracks may be published; true by default.
    pub can_publish: bool,
    /// Whether packets may be sent; as `can_publish` by default.
    pub can_publish_data: bool,
    /// Whether tracks are heard; true by default.
    pub can_subscribe: bool,
    /// Of which sources tracks may be; of all when empty, the default.
    pub can_publish_sources: Vec<LivekitSource>,
    /// Whether name, metadata and attributes may be changed; false by default.
    pub can_update_own_metadata: bool,
    /// Whether others are not to know of the participant; false by default.
    pub hidden: bool,
    /// Whether the room may be governed; false by default, and of no effect on who is in it.
    pub room_admin: bool,
    /// Whether rooms may be made; false by default.
    pub room_create: bool,
    /// Whether rooms may be listed; false by default.
    pub room_list: bool,
}

/// Where a track comes from, by LiveKit's names in lower case.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum LivekitSource {
    /// `camera`.
    Camera,
    /// `microphone`.
    Microphone,
    /// `screen_share`.
    ScreenShare,
    /// `screen_share_audio`.
    ScreenShareAudio,
    /// Any other name: no track's.
    Unknown,
}

/// The API keys of a region with their secrets. Tokens are made with the first; those of the second, which was the first before, are
/// taken.
#[derive(Clone)]
pub struct LivekitKeys {
    encoding: EncodingKey,
    pairs: Vec<Pair>,
}

#[derive(Clone)]
struct Pair {
    api_key: String,
    secret: DecodingKey,
}

/// What is read. Times may have fractions; a `null` is no time.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Claims {
    iss: Option<String>,
    sub: Option<String>,
    #[serde(default, deserialize_with = "time")]
    exp: Option<f64>,
    #[serde(default, deserialize_with = "time")]
    nbf: Option<f64>,
    name: Option<String>,
    metadata: Option<String>,
    attributes: Option<BTreeMap<String, String>>,
    video: Option<Video>,
    atoll_session: Option<u64>,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase")]
struct Video {
    room_join: Option<bool>,
    room: Option<String>,
    can_publish: Option<bool>,
    can_publish_data: Option<bool>,
    can_subscribe: Option<bool>,
    can_publish_sources: Option<Vec<String>>,
    can_update_own_metadata: Option<bool>,
    hidden: Option<bool>,
    room_admin: Option<bool>,
    room_create: Option<bool>,
    room_list: Option<bool>,
}

impl LivekitKeys {
    /// Keys made of an API key and its secret, and perhaps of those that it was before. The two may have one API key.
    pub fn new(api_key: &str, secret: &str, former: Option<(&str, &str)>) -> Self {
        let pairs = [Some((api_key, secret)), former].into_iter().flatten();
        let pair = |(api_key, secret): (&str, &str)| Pair {
            api_key: api_key.to_owned(),
            secret: DecodingKey::from_secret(secret.as_bytes()),
        };
        Self { encoding: EncodingKey::from_secret(secret.as_bytes()), pairs: pairs.map(pair).collect() }
    }

    /// The API key that tokens are made with.
    pub fn api_key(&self) -> &str {
        self.pairs.first().map_or("", |pair| &pair.api_key)
    }

    /// Who `token` lets into this room at `now` (seconds since 1970).
    ///
    /// # Errors
    /// [`LivekitTokenError`], but for [`NoAddress`](LivekitTokenError::NoAddress).
    pub fn verify(&self, token: &str, room: &str, now: u64) -> Result<LivekitToken, LivekitTokenError> {
        let token = self.read(token, now)?;
        if token.room == room { Ok(token) } else { Err(LivekitTokenError::OtherRoom) }
    }

    /// The same for whichever room the token names: LiveKit's clients name none beside it.
    ///
    /// # Errors
    /// [`LivekitTokenError`], but for [`OtherRoom`](LivekitTokenError::OtherRoom) and [`NoAddress`](LivekitTokenError::NoAddress).
    pub fn read(&self, token: &str, now: u64) -> Result<LivekitToken, LivekitTokenError> {
        let claims = self.claims(token)?;
        in_time(&claims, now as f64)?;
        let video = claims.video.unwrap_or_default();
        let grants = LivekitGrants::of(&video);
        let room = video.room.filter(|room| video.room_join == Some(true) && !room.is_empty());
        Ok(LivekitToken {
            room: room.ok_or(LivekitTokenError::NoJoin)?,
            identity: claims.sub.filter(|identity| !identity.is_empty()).ok_or(LivekitTokenError::NoIdentity)?,
            session: claims.atoll_session.map(SessionId),
            name: claims.name.unwrap_or_default(),
            metadata: claims.metadata,
            attributes: claims.attributes.unwrap_or_default(),
            grants,
        })
    }

    fn claims(&self, token: &str) -> Result<Claims, LivekitTokenError> {
        if token.len() > MAX_TOKEN {
            return Err(LivekitTokenError::Malformed);
        }
        let mut refused = LivekitTokenError::Signature;
        for pair in &self.pairs {
            match decoded::<Claims>(token, &pair.secret, &ALGORITHMS) {
                Ok(claims) if claims.iss.as_deref() == Some(&pair.api_key) => return Ok(claims),
                Ok(_) => refused = LivekitTokenError::Issuer,
                Err(_) if refused == LivekitTokenError::Issuer => {}
                Err(error) => refused = error.into(),
            }
        }
        Err(refused)
    }
}

impl LivekitToken {
    /// The address that sits down with it.
    ///
    /// # Errors
    /// [`LivekitTokenError::NoAddress`].
    pub fn address(&self) -> Result<Address, LivekitTokenError> {
        self.identity.parse().map_err(|_| LivekitTokenError::NoAddress)
    }
}

impl LivekitTokenError {
    /// Whether the token itself holds, so that this is a 403 rather than a 401.
    pub fn is_forbidden(self) -> bool {
        matches!(self, Self::NoJoin | Self::OtherRoom | Self::NoIdentity | Self::NoAddress)
    }
}

impl LivekitGrants {
    fn of(video: &Video) -> Self {
        let can_publish = video.can_publish.unwrap_or(true);
        let sources = video.can_publish_sources.iter().flatten();
        Self {
            can_publish,
            can_publish_data: video.can_publish_data.unwrap_or(can_publish),
            can_subscribe: video.can_subscribe.unwrap_or(true),
            can_publish_sources: sources.map(|name| LivekitSource::named(name)).collect(),
            can_update_own_metadata: video.can_update_own_metadata.unwrap_or(false),
            hidden: video.hidden.unwrap_or(false),
            room_admin: video.room_admin.unwrap_or(false),
            room_create: video.room_create.unwrap_or(false),
            room_list: video.room_list.unwrap_or(false),
        }
    }

    /// Whether a track of this source may be published.
    pub fn may_publish(&self, source: LivekitSource) -> bool {
        let sources = &self.can_publish_sources;
        let is_listed = source != LivekitSource::Unknown && sources.contains(&source);
        self.can_publish && (sources.is_empty() || is_listed)
    }
}

impl LivekitSource {
    fn named(name: &str) -> Self {
        match name.to_ascii_lowercase().as_str() {
            "camera" => Self::Camera,
            "microphone" => Self::Microphone,
            "screen_share" => Self::ScreenShare,
            "screen_share_audio" => Self::ScreenShareAudio,
            _ => Self::Unknown,
        }
    }
}

impl fmt::Debug for LivekitKeys {
    /// Keeps the secrets to itself.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let api_keys: Vec<&str> = self.pairs.iter().map(|pair| pair.api_key.as_str()).collect();
        f.debug_struct("LivekitKeys").field("api_keys", &api_keys).finish_non_exhaustive()
    }
}

impl From<Refused> for LivekitTokenError {
    fn from(refused: Refused) -> Self {
        match refused {
            Refused::Malformed => Self::Malformed,
            Refused::Algorithm => Self::Algorithm,
            Refused::Signature => Self::Signature,
        }
    }
}

/// In the order of livekit-server-sdk's verifier. What has no end does not end.
fn in_time(claims: &Claims, now: f64) -> Result<(), LivekitTokenError> {
    if claims.nbf.is_some_and(|from| from > now) {
        return Err(LivekitTokenError::NotNow);
    }
    if claims.exp.is_some_and(|end| now >= end) {
        return Err(LivekitTokenError::Expired);
    }
    Ok(())
}

fn time<'de, D: Deserializer<'de>>(claim: D) -> Result<Option<f64>, D::Error> {
    f64::deserialize(claim).map(Some)
}

#[cfg(test)]
#[path = "livekit_token_tests.rs"]
mod tests;
