//! What a start says: where the doors are, and on what they stand.

use crate::config::{Limits, Public};
use crate::edge::Edge;
use crate::http::diallable;
use atoll_certs::Kind;
use std::fmt;
use std::path::Path;
use std::time::{Duration, SystemTime};

/// The start table. Its addresses can be dialled from this machine.
pub(super) struct Table<'a> {
    pub(super) edge: &'a Edge,
    pub(super) public: &'a Public,
    pub(super) limits: &'a Limits,
    pub(super) state_dir: &'a Path,
}

impl fmt::Display for Table<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let http = diallable(self.edge.http_address());
        writeln!(f, "atoll {}", env!("CARGO_PKG_VERSION"))?;
        let mut row = |name: &str, what: fmt::Arguments<'_>| writeln!(f, "  {name:<13} {what}");
        match self.edge.quic_address() {
            Some(listening) => {
                let quic = diallable(listening);
                row("map page", format_args!("http://{http}/   (https: on the same port)"))?;
                row("about", format_args!("http://{http}/about"))?;
                row("webtransport", format_args!("https://{quic}/atoll   (subprotocol atoll.1)"))?;
                row("quic", format_args!("{quic}   (ALPN atoll/1)"))?;
                row("websocket", format_args!("ws://{http}/atoll/ws   (subprotocol atoll.1)"))?;
                row("listening", format_args!("tcp {}, udp {listening}", self.edge.http_address()))?;
                if let Some(livekit) = self.edge.livekit_address() {
                    row("livekit", format_args!("ws://{http}/rtc   (media and data: port {livekit})"))?;
                }
            }
            None => {
                row("role", format_args!("archipelago; sessions are served elsewhere on NATS"))?;
                row("status", format_args!("http://{http}/status   (https: on the same port)"))?;
                row("listening", format_args!("tcp {}", self.edge.http_address()))?;
            }
        }
        row("public", format_args!("{}", PublicAddresses(self.public)))?;
        let certificate = self.edge.certificate();
        let left = certificate.remaining(SystemTime::now());
        let renewal = if certificate.kind() == Kind::Development { ", renewed before" } else { "" };
        let (kind, hash) = (certificate.kind(), certificate.sha256_hex());
        row("certificate", format_args!("{kind}, expires in {}{renewal}, sha256 {hash}", Left(left)))?;
        match self.edge.is_nats_connected() {
            None => row("bus", format_args!("embedded"))?,
            Some(true) => row("bus", format_args!("NATS"))?,
            Some(false) => row("bus", format_args!("NATS, which does not answer yet"))?,
        }
        let Limits { max_sessions, max_room_members, pre_auth, pre_auth_per_ip, .. } = self.limits;
        let limits = format!("{max_sessions} sessions, {max_room_members} in a room");
        row("limits", format_args!("{limits}, {pre_auth} not logged in, {pre_auth_per_ip} of them from one address"))?;
        if let Some(buffers) = self.edge.udp_buffers() {
            row("udp buffers", format_args!("{} bytes in, {} bytes out", buffers.receive, buffers.send))?;
        }
        row("state", format_args!("{}", self.state_dir.display()))?;
        for warning in self.edge.warnings() {
            row("warning", format_args!("{warning}"))?;
        }
        if self.edge.quic_address().is_some() {
            write!(f, "\nOpen http://{http}/ in two tabs of a Chromium browser, or run `atoll bots --count 50`.")?;
        }
        Ok(())
    }
}

struct PublicAddresses<'a>(&'a Public);

impl fmt::Display for PublicAddresses<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Public { http_url, quic_url, ips } = self.0;
        let mut parts: Vec<String> = http_url.iter().map(|url| format!("HTTP {url}")).collect();
        parts.extend(quic_url.iter().map(|url| format!("QUIC {url}")));
        parts.extend(ips.iter().map(ToString::to_string));
        if parts.is_empty() { f.write_str("none") } else { f.write_str(&parts.join(", ")) }
    }
}

/// A time that is left, roughly.
struct Left(Duration);

impl fmt::Display for Left {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let hours = self.0.as_secs() / 3600;
        if hours < 48 { write!(f, "{hours} hours") } else { write!(f, "{} days", hours / 24) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_left_is_told_in_hours_or_days() {
        let told = |hours: u64| Left(Duration::from_secs(hours * 3600 + 1800)).to_string();
        assert_eq!(
            (told(0), told(47), told(48), told(335)),
            ("0 hours".into(), "47 hours".into(), "2 days".into(), "13 days".into())
        );
    }

    #[test]
    fn public_addresses_are_listed_or_none() {
        let mut public = Public::default();
        assert_eq!(PublicAddresses(&public).to_string(), "none");
        public.quic_url = Some("https://q:1".parse().unwrap());
        public.ips = vec!["192.0.2.1".parse().unwrap()];
        assert_eq!(PublicAddresses(&public).to_string(), "QUIC https://q:1, 192.0.2.1");
    }
}
