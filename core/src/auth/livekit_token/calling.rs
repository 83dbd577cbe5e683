//! Tokens of programs that govern rooms, and those by which they know that a message is from here.

use super::{LIVEKIT_TOKEN_SECONDS, LivekitGrants, LivekitKeys, LivekitTokenError, in_time};
use jsonwebtoken::{Algorithm, Header, encode};
use serde::Serialize;

/// What somebody may who calls LiveKit's server API. A token for this need not be for joining a room, nor name anybody.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LivekitCaller {
    room: Option<String>,
    grants: LivekitGrants,
}

/// What is written of a message.
#[derive(Serialize)]
struct Signed<'a> {
    sha256: &'a str,
    iss: &'a str,
    exp: u64,
    nbf: u64,
}

impl LivekitCaller {
    /// Whether all rooms may be listed (`roomList`).
    pub fn may_list(&self) -> bool {
        self.grants.room_list
    }

    /// Whether rooms may be made, and ended (`roomCreate`).
    pub fn may_create(&self) -> bool {
        self.grants.room_create
    }

    /// Whether this room may be governed (`roomAdmin`, and `room` is the room).
    pub fn governs(&self, room: &str) -> bool {
        self.grants.room_admin && self.room.as_deref() == Some(room)
    }
}

impl LivekitKeys {
    /// What a token allows at `now` (seconds since 1970) who calls the server API with it.
    ///
    /// # Errors
    /// [`LivekitTokenError`] of those that are a 401.
    pub fn caller(&self, token: &str, now: u64) -> Result<LivekitCaller, LivekitTokenError> {
        let claims = self.claims(token)?;
        in_time(&claims, now as f64)?;
        let video = claims.video.unwrap_or_default();
        let grants = LivekitGrants::of(&video);
        Ok(LivekitCaller { room: video.room, grants })
    }

    /// A token that goes with a message whose SHA-256 is `sha256`, in base64: it tells that the message is from here.
    ///
    /// # Errors
    /// [`LivekitTokenError::Malformed`], which no text comes to.
    pub fn sign_message(&self, sha256: &str, now: u64) -> Result<String, LivekitTokenError> {
        let claims = Signed { sha256, iss: self.api_key(), exp: now + LIVEKIT_TOKEN_SECONDS, nbf: now };
        encode(&Header::new(Algorithm::HS256), &claims, &self.encoding).map_err(|_| LivekitTokenError::Malformed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::auth::jwt::decoded;
    use jsonwebtoken::DecodingKey;
    use serde_json::{Value, json};

    const SECRET: &str = "a secret of no meaning";
    const NOW: u64 = 1_700_000_000;

    fn keys() -> LivekitKeys {
        LivekitKeys::new("APIkey", SECRET, None)
    }

    fn caller(claims: &Value) -> Result<LivekitCaller, LivekitTokenError> {
        let key = jsonwebtoken::EncodingKey::from_secret(SECRET.as_bytes());
        let token = encode(&Header::new(Algorithm::HS256), claims, &key).unwrap();
        keys().caller(&token, NOW)
    }

    #[test]
    fn a_caller_may_what_its_grants_say() {
        let of = |video: Value| caller(&json!({ "iss": "APIkey", "exp": NOW + 1, "video": video })).unwrap();
        let may = |video| {
            let caller = of(video);
            (caller.may_list(), caller.may_create(), caller.governs("I1"), caller.governs("I2"))
        };
        assert_eq!(may(json!({})), (false, false, false, false));
        assert_eq!(may(json!({ "roomList": true })), (true, false, false, false));
        assert_eq!(may(json!({ "roomCreate": true })), (false, true, false, false));
        assert_eq!(may(json!({ "roomAdmin": true, "room": "I1" })), (false, false, true, false));
        assert_eq!(may(json!({ "roomAdmin": true })), (false, false, false, false));
        assert_eq!(may(json!({ "roomJoin": true, "room": "I1" })), (false, false, false, false));
    }

    #[test]
    fn a_token_that_does_not_hold_allows_nothing() {
        let claims = |iss: &str, exp: u64| json!({ "iss": iss, "exp": exp, "video": { "roomList": true } });
        assert!(caller(&claims("APIkey", NOW + 1)).is_ok());
        assert_eq!(caller(&claims("APIkey", NOW)), Err(LivekitTokenError::Expired));
        assert_eq!(caller(&claims("other", NOW + 1)), Err(LivekitTokenError::Issuer));
        assert_eq!(keys().caller("x.y.z", NOW), Err(LivekitTokenError::Malformed));
        let no_video = caller(&json!({ "iss": "APIkey", "exp": NOW + 1 })).unwrap();
        assert!(!no_video.may_list());
    }

    #[test]
    fn a_message_is_signed_with_its_hash() {
        let token = keys().sign_message("aGFzaA==", NOW).unwrap();
        let key = DecodingKey::from_secret(SECRET.as_bytes());
        let claims: Value = decoded(&token, &key, &[Algorithm::HS256]).unwrap();
        assert_eq!(claims, json!({ "sha256": "aGFzaA==", "iss": "APIkey", "exp": NOW + 300, "nbf": NOW }));
    }
}
