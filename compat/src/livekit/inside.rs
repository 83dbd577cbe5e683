//! The readers of what strangers send, without a participant around them: what the fuzz targets are let into.

use super::request::read_single;
use super::sdp::{self, Carried};
use super::{data, stun};
use axum::http::Uri;
use std::collections::{HashMap, HashSet};

/// Whom a datagram names as the one it is for.
pub fn addressee(datagram: &[u8]) -> Option<&str> {
    stun::addressee(datagram)
}

/// Reads a session description as an offer's and writes it as if it were ours, with a track in each section of sound; `None`
/// where one of that size is not read at all.
pub fn rewritten(text: &str) -> Option<String> {
    if text.len() > sdp::MAX_SDP || sdp::count(text) > sdp::MAX_SECTIONS {
        return None;
    }
    let carried: HashMap<String, Carried> = sdp::sections(text)
        .into_iter()
        .map(|section| (section.mid, Carried { stream: "PA_1|TR_1".to_owned(), track: "TR_1".to_owned() }))
        .collect();
    Some(sdp::with_tracks(text, &carried, &HashSet::new()))
}

/// Whether the query of a client with one connection can be read.
pub fn reads_join_request(uri: &Uri) -> bool {
    read_single(uri).is_ok()
}

/// Whether a message of a data channel can be read.
pub fn reads_data(message: &[u8]) -> bool {
    data::read(message).is_some()
}
