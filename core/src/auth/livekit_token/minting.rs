//! How tokens are made.

use super::{LIVEKIT_TOKEN_SECONDS, LivekitKeys, LivekitSource, LivekitToken, LivekitTokenError, MAX_TOKEN};
use crate::room::SessionId;
use atoll_proto::Address;
use jsonwebtoken::{Algorithm, Header, encode};
use serde::Serialize;
use std::collections::BTreeMap;

/// What is written, in archipelago's order.
#[derive(Serialize)]
struct Minted<'a> {
    video: MintedVideo<'a>,
    iss: &'a str,
    exp: u64,
    nbf: u64,
    sub: &'a str,
    /// The session, by which a second connection of one is told from another session. LiveKit passes over what it does not know.
    #[serde(rename = "atollSession", skip_serializing_if = "Option::is_none")]
    session: Option<u64>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct MintedVideo<'a> {
    room_join: bool,
    room: &'a str,
    room_list: bool,
    can_publish: bool,
    can_subscribe: bool,
    can_publish_data: bool,
    can_update_own_metadata: bool,
    can_publish_sources: [&'a str; 1],
}

/// What is written of a token that is renewed.
#[derive(Serialize)]
struct Renewed<'a> {
    video: RenewedVideo<'a>,
    iss: &'a str,
    exp: u64,
    nbf: u64,
    sub: &'a str,
    #[serde(skip_serializing_if = "str::is_empty")]
    name: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    metadata: Option<&'a str>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    attributes: &'a BTreeMap<String, String>,
    #[serde(rename = "atollSession", skip_serializing_if = "Option::is_none")]
    session: Option<u64>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct RenewedVideo<'a> {
    room_join: bool,
    room: &'a str,
    can_publish: bool,
    can_subscribe: bool,
    can_publish_data: bool,
    can_publish_sources: Vec<&'a str>,
    can_update_own_metadata: bool,
    hidden: bool,
    room_admin: bool,
    room_create: bool,
    room_list: bool,
}

impl LivekitKeys {
    /// A token for `room`, made at `now` (seconds since 1970), which holds for [`LIVEKIT_TOKEN_SECONDS`]: to be heard and to hear,
    /// by the microphone and by data.
    ///
    /// # Errors
    /// [`LivekitTokenError::Malformed`], which no room and address come to.
    pub fn mint(
        &self,
        room: &str,
        address: Address,
        session: Option<SessionId>,
        now: u64,
    ) -> Result<String, LivekitTokenError> {
        self.mint_as(&address.to_string(), room, session, now)
    }

    /// A token for what `token` is for, that holds for [`LIVEKIT_TOKEN_SECONDS`] from `now` (seconds since 1970): for a client that is
    /// in its room and may lose its connection after the first token's time.
    ///
    /// # Errors
    /// [`LivekitTokenError::Malformed`], which no token that was read comes to.
    pub fn renew(&self, token: &LivekitToken, now: u64) -> Result<String, LivekitTokenError> {
        let LivekitToken { identity, room, session, name, metadata, attributes, grants } = token;
        let video = RenewedVideo {
            room_join: true,
            room,
            can_publish: grants.can_publish,
            can_subscribe: grants.can_subscribe,
            can_publish_data: grants.can_publish_data,
            can_publish_sources: grants.can_publish_sources.iter().map(|source| source.name()).collect(),
            can_update_own_metadata: grants.can_update_own_metadata,
            hidden: grants.hidden,
            room_admin: grants.room_admin,
            room_create: grants.room_create,
            room_list: grants.room_list,
        };
        let claims = Renewed {
            video,
            iss: self.api_key(),
            exp: now + LIVEKIT_TOKEN_SECONDS,
            nbf: 0,
            sub: identity,
            name,
            metadata: metadata.as_deref(),
            attributes,
            session: session.map(|SessionId(id)| id),
        };
        let token = self.signed(&claims)?;
        if token.len() <= MAX_TOKEN {
            return Ok(token);
        }
        // One that is too long would let its client in nowhere; what its participant says of itself, its seat knows.
        self.signed(&Renewed { metadata: None, attributes: &BTreeMap::new(), ..claims })
    }

    pub(super) fn mint_as(
        &self,
        identity: &str,
        room: &str,
        session: Option<SessionId>,
        now: u64,
    ) -> Result<String, LivekitTokenError> {
        let video = MintedVideo {
            room_join: true,
            room,
            room_list: false,
            can_publish: true,
            can_subscribe: true,
            can_publish_data: true,
            can_update_own_metadata: true,
            can_publish_sources: ["microphone"],
        };
        let claims = Minted {
            video,
            iss: self.api_key(),
            exp: now + LIVEKIT_TOKEN_SECONDS,
            nbf: 0,
            sub: identity,
            session: session.map(|SessionId(id)| id),
        };
        self.signed(&claims)
    }

    fn signed(&self, claims: &impl Serialize) -> Result<String, LivekitTokenError> {
        let header = Header { typ: None, ..Header::new(Algorithm::HS256) };
        encode(&header, claims, &self.encoding).map_err(|_| LivekitTokenError::Malformed)
    }
}

impl LivekitSource {
    fn name(self) -> &'static str {
        match self {
            Self::Camera => "camera",
            Self::Microphone => "microphone",
            Self::ScreenShare => "screen_share",
            Self::ScreenShareAudio => "screen_share_audio",
            Self::Unknown => "unknown",
        }
    }
}
