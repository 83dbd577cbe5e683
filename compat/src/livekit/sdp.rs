//! Session descriptions as text: what a client's offer says of its media, and what ours say of tracks.
//!
//! The peer connection reads and writes them; here is only what it has no words for. Which track a section carries is a matter
//! of LiveKit: a browser invents its own names for what it receives.

use std::collections::{HashMap, HashSet};

/// Longest description that is read, in bytes: hundreds of sections.
pub(super) const MAX_SDP: usize = 512 * 1024;

/// Most sections of one.
pub(super) const MAX_SECTIONS: usize = 256;

/// What an offer says of one section.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Section {
    /// Its name, `a=mid`.
    pub(super) mid: String,
    /// `audio`, `video` or `application`.
    pub(super) kind: String,
    /// The offering side sends.
    pub(super) sends: bool,
    /// The offering side receives.
    pub(super) receives: bool,
    /// The track that it sends, by its name for it.
    pub(super) track: Option<String>,
}

/// The track that one of our sections carries.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Carried {
    /// `a=msid`'s first part.
    pub(super) stream: String,
    /// Its second.
    pub(super) track: String,
}

/// The sections of an offer, in order.
pub(super) fn sections(sdp: &str) -> Vec<Section> {
    split(sdp).skip(1).take(MAX_SECTIONS).map(section).collect()
}

/// How many sections a description has.
pub(super) fn count(sdp: &str) -> usize {
    split(sdp).skip(1).count()
}

/// One of our descriptions, where each audio section that sends carries the track it is to, and is inactive if that is none. So is
/// every video section. What the client sends in one of the sections `in_full` is not to be cut short.
pub(super) fn with_tracks(sdp: &str, carried: &HashMap<String, Carried>, in_full: &HashSet<String>) -> String {
    let mut out = String::with_capacity(sdp.len() + 256);
    for part in split(sdp) {
        let Section { kind, mid, sends, .. } = section(part);
        let track = carried.get(&mid);
        for line in part.split_inclusive("\r\n") {
            match (kind.as_str(), sends) {
                // What the client sends: silence need not be sent in full.
                ("audio", false) if !in_full.contains(&mid) => out.push_str(&sparing(line)),
                // A section that is refused goes away, and offers made before are no good then.
                ("video", _) if line.starts_with("a=recvonly") || line.starts_with("a=sendrecv") => {
                    out.push_str("a=inactive\r\n");
                }
                ("video", _) => out.push_str(&silent(line)),
                ("audio", true) => match track {
                    Some(track) => out.push_str(&named(line, track)),
                    None => out.push_str(&silent(line)),
                },
                _ => out.push_str(line),
            }
        }
    }
    out
}

/// A line of a section that carries a track.
fn named(line: &str, Carried { stream, track }: &Carried) -> String {
    if line.starts_with("a=msid:") {
        return format!("a=msid:{stream} {track}\r\n");
    }
    match line.strip_prefix("a=ssrc:").and_then(|rest| rest.split_once(" msid:")) {
        Some((ssrc, _)) => format!("a=ssrc:{ssrc} msid:{stream} {track}\r\n"),
        None => line.to_owned(),
    }
}

/// A line of a section that carries none.
fn silent(line: &str) -> String {
    match line {
        "a=sendonly\r\n" => "a=inactive\r\n".to_owned(),
        // The client's own track is heard in it.
        "a=sendrecv\r\n" => "a=recvonly\r\n".to_owned(),
        _ if line.starts_with("a=msid:") || line.starts_with("a=ssrc:") => String::new(),
        _ => line.to_owned(),
    }
}

/// A line of a section that the client sends, which need not send silence.
fn sparing(line: &str) -> String {
    match line.strip_suffix("\r\n") {
        Some(parameters) if parameters.starts_with("a=fmtp:") && !parameters.contains("usedtx") => {
            format!("{parameters};usedtx=1\r\n")
        }
        _ => line.to_owned(),
    }
}

/// What stands before the first section, and each section.
fn split(sdp: &str) -> impl Iterator<Item = &str> {
    let mut rest = Some(sdp);
    std::iter::from_fn(move || {
        let text = rest?;
        let end = text.find("\nm=").map(|at| at + 1);
        rest = end.map(|end| &text[end..]);
        Some(&text[..end.unwrap_or(text.len())])
    })
}

fn section(text: &str) -> Section {
    let mut found = Section { mid: String::new(), kind: String::new(), sends: true, receives: true, track: None };
    for line in text.lines() {
        if let Some(media) = line.strip_prefix("m=") {
            let mut words = media.split(' ');
            found.kind = words.next().unwrap_or_default().to_owned();
            if words.next() == Some("0") {
                (found.sends, found.receives) = (false, false);
            }
        } else if let Some(mid) = line.strip_prefix("a=mid:") {
            found.mid = mid.to_owned();
        } else if let Some(msid) = line.strip_prefix("a=msid:") {
            found.track = msid.split(' ').nth(1).map(str::to_owned);
        } else if let Some((_, msid)) = line.strip_prefix("a=ssrc:").and_then(|rest| rest.split_once(" msid:")) {
            let track = msid.split(' ').nth(1).map(str::to_owned);
            found.track = found.track.or(track);
        }
        match line {
            "a=sendonly" => found.receives = false,
            "a=recvonly" => found.sends = false,
            "a=inactive" => (found.sends, found.receives) = (false, false),
            _ => {}
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEAD: &str = "v=0\r\no=- 1 2 IN IP4 127.0.0.1\r\ns=-\r\n";

    fn text(sections: &[&str]) -> String {
        HEAD.to_owned() + &sections.concat()
    }

    #[test]
    fn sections_tell_what_an_offer_sends() {
        let sdp = text(&[
            "m=audio 9 UDP/TLS/RTP/SAVPF 111\r\na=mid:0\r\na=sendonly\r\na=msid:stream track-1\r\n",
            "m=audio 9 UDP/TLS/RTP/SAVPF 111\r\na=mid:1\r\na=recvonly\r\n",
            "m=video 0 UDP/TLS/RTP/SAVPF 96\r\na=mid:2\r\na=sendrecv\r\n",
            "m=application 9 UDP/DTLS/SCTP webrtc-datachannel\r\na=mid:3\r\n",
            "m=audio 9 UDP/TLS/RTP/SAVPF 111\r\na=mid:4\r\na=sendrecv\r\na=ssrc:7 cname:c\r\na=ssrc:7 msid:s t\r\n",
            "m=audio 9 UDP/TLS/RTP/SAVPF 111\r\na=mid:5\r\na=inactive\r\n",
        ]);
        let found = sections(&sdp);
        assert_eq!(count(&sdp), 6);
        let flat: Vec<_> = found
            .iter()
            .map(|one| (one.mid.as_str(), one.kind.as_str(), one.sends, one.receives, one.track.as_deref()))
            .collect();
        assert_eq!(
            flat,
            [
                ("0", "audio", true, false, Some("track-1")),
                ("1", "audio", false, true, None),
                ("2", "video", false, false, None),
                ("3", "application", true, true, None),
                ("4", "audio", true, true, Some("t")),
                ("5", "audio", false, false, None),
            ]
        );
        for odd in ["", "m=", "\nm=\nm=\n", "a=mid:", "a=msid:\r\na=ssrc: msid:"] {
            assert!(sections(odd).len() <= 2);
        }
    }

    #[test]
    fn our_sections_carry_their_tracks_or_nothing() {
        let ours = |mid: &str| {
            format!(
                "m=audio 9 UDP/TLS/RTP/SAVPF 111\r\na=mid:{mid}\r\na=sendonly\r\na=msid:x y\r\na=ssrc:5 cname:y\r\na=ssrc:5 msid:x y\r\n"
            )
        };
        let theirs = "m=audio 9 UDP/TLS/RTP/SAVPF 111\r\na=mid:c\r\na=recvonly\r\na=fmtp:111 minptime=10\r\n";
        let sdp = text(&[&ours("a"), &ours("b"), theirs]);
        let carried = HashMap::from([("a".to_owned(), Carried { stream: "PA_1|TR_1".into(), track: "TR_1".into() })]);
        let written = with_tracks(&sdp, &carried, &HashSet::new());
        assert!(written.starts_with(HEAD));
        let parts: Vec<&str> = split(&written).skip(1).collect();
        assert!(
            parts[0].contains("a=msid:PA_1|TR_1 TR_1\r\n") && parts[0].contains("a=ssrc:5 msid:PA_1|TR_1 TR_1\r\n")
        );
        assert!(parts[0].contains("a=sendonly\r\n") && parts[0].contains("a=ssrc:5 cname:y\r\n"));
        assert!(parts[1].contains("a=inactive\r\n") && !parts[1].contains("msid") && !parts[1].contains("ssrc"));
        assert!(parts[2].ends_with("a=recvonly\r\na=fmtp:111 minptime=10;usedtx=1\r\n"));
        assert_eq!(with_tracks(&written, &carried, &HashSet::new()), written);
        let in_full = with_tracks(&sdp, &carried, &HashSet::from(["c".to_owned()]));
        assert!(in_full.ends_with("a=fmtp:111 minptime=10\r\n"));
    }
}
