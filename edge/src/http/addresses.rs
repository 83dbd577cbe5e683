//! Where the doors are, for those outside.

use crate::config::Public;
use crate::quic::WEBTRANSPORT_PATH;
use crate::ws::WEBSOCKET_PATH;
use axum::http::uri::Authority;
use axum::http::{HeaderMap, header};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

/// Where the doors listen, and what the operator says of how they are reached.
#[derive(Debug, Clone)]
pub struct Addresses {
    /// Where HTTP listens.
    pub http: SocketAddr,
    /// Where QUIC listens, unless this process is no edge.
    pub quic: Option<SocketAddr>,
    /// What the operator says.
    pub public: Public,
}

impl Addresses {
    /// Host and port of QUIC. `headers` are the asking client's: a socket on all interfaces has no address of its own, but
    /// the name by which the client found us leads here.
    pub(super) fn quic(&self, headers: &HeaderMap) -> Option<String> {
        let listening = self.quic?;
        Some(match &self.public.quic_url {
            Some(url) => url.authority(),
            None => self.reachable(listening, headers),
        })
    }

    pub(super) fn webtransport(&self, headers: &HeaderMap) -> Option<String> {
        Some(format!("https://{}{WEBTRANSPORT_PATH}", self.quic(headers)?))
    }

    /// The WebSocket door. Without a public URL it is handed out without TLS, which this port answers, too.
    pub(super) fn websocket(&self, headers: &HeaderMap) -> String {
        format!("{}{WEBSOCKET_PATH}", self.websocket_origin(headers))
    }

    /// Scheme, host and port of the doors that are WebSockets. Without headers and without a public URL or address it is one
    /// that can be dialled from this machine.
    pub(crate) fn websocket_origin(&self, headers: &HeaderMap) -> String {
        match &self.public.http_url {
            Some(url) => url.websocket(),
            None => format!("ws://{}", self.reachable(self.http, headers)),
        }
    }

    /// Names and addresses that a certificate made for this edge should be for, beyond the loopback ones.
    pub(crate) fn names(&self) -> Vec<String> {
        let hosts = self.public.http_url.iter().map(|url| url.host().to_owned());
        let hosts = hosts.chain(self.public.quic_url.iter().map(|url| url.host().to_owned()));
        let ips = self.public.ips.iter().copied().chain([self.http.ip()]).chain(self.quic.map(|quic| quic.ip()));
        let ips = ips.map(|ip| ip.to_canonical()).filter(|ip| !ip.is_unspecified() && !ip.is_loopback());
        hosts.chain(ips.map(|ip| ip.to_string())).collect()
    }

    /// What an operator should know before clients find out.
    pub(crate) fn warnings(&self) -> Vec<String> {
        let is_open = |address: SocketAddr| !address.ip().to_canonical().is_loopback();
        let mut warnings = Vec::new();
        if is_open(self.http) && self.public.http_url.is_none() {
            warnings.push(format!(
                "HTTP on {} has no public.http_url: clients are sent to http:// and ws:// under the host they asked for",
                self.http
            ));
            if self.http.ip().is_unspecified() && self.public.ips.is_empty() {
                let host = diallable(self.http);
                warnings.push(format!("kernels are sent to rooms on {host}, which nobody reaches from other machines"));
            }
        }
        let Some(quic) = self.quic else { return warnings };
        let has_ip = quic.ip().is_unspecified() && !self.public.ips.is_empty();
        if is_open(quic) && self.public.quic_url.is_none() && !has_ip {
            let sent = if quic.ip().is_unspecified() { "the host they asked for" } else { "this address" };
            warnings.push(format!("QUIC on {quic} has no public.quic_url: clients are sent to {sent}"));
        }
        warnings
    }

    fn reachable(&self, listening: SocketAddr, headers: &HeaderMap) -> String {
        if !listening.ip().is_unspecified() {
            return listening.to_string();
        }
        if let Some(ip) = self.public.ips.first() {
            return SocketAddr::new(*ip, listening.port()).to_string();
        }
        let authority = headers.get(header::HOST).and_then(|host| host.to_str().ok()?.parse().ok());
        let authority: Option<Authority> = authority;
        match authority {
            Some(authority) => format!("{}:{}", authority.host(), listening.port()),
            None => diallable(listening).to_string(),
        }
    }
}

/// An address that can be dialled on this machine: loopback for all interfaces.
pub(crate) fn diallable(listening: SocketAddr) -> SocketAddr {
    let ip = match listening.ip() {
        ip if !ip.is_unspecified() => ip,
        IpAddr::V4(_) => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(_) => Ipv6Addr::LOCALHOST.into(),
    };
    SocketAddr::new(ip, listening.port())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn addresses(http: &str, quic: &str) -> Addresses {
        Addresses { http: http.parse().unwrap(), quic: Some(quic.parse().unwrap()), public: Public::default() }
    }

    fn host(host: &str) -> HeaderMap {
        HeaderMap::from_iter([(header::HOST, host.parse().unwrap())])
    }

    #[test]
    fn a_socket_on_all_interfaces_is_named_as_the_client_found_us() {
        let handed_out = |quic: &str, headers: HeaderMap| addresses("[::]:7480", quic).quic(&headers).unwrap();
        assert_eq!(handed_out("127.0.0.1:7443", host("other:80")), "127.0.0.1:7443");
        assert_eq!(handed_out("0.0.0.0:7443", host("edge.example:7480")), "edge.example:7443");
        assert_eq!(handed_out("[::]:7443", host("[::1]:7480")), "[::1]:7443");
        assert_eq!(handed_out("0.0.0.0:7443", host("not a host")), "127.0.0.1:7443");
        assert_eq!(handed_out("0.0.0.0:7443", HeaderMap::new()), "127.0.0.1:7443");
        assert_eq!(handed_out("[::]:7443", HeaderMap::new()), "[::1]:7443");
    }

    #[test]
    fn without_a_public_url_plain_addresses_are_handed_out() {
        let any = addresses("0.0.0.0:7480", "0.0.0.0:7443");
        assert_eq!(any.websocket(&host("edge.example")), "ws://edge.example:7480/atoll/ws");
        assert_eq!(any.webtransport(&host("edge.example")).unwrap(), "https://edge.example:7443/atoll");
        let own = addresses("127.0.0.1:7480", "127.0.0.1:7443");
        assert_eq!(own.websocket(&host("edge.example")), "ws://127.0.0.1:7480/atoll/ws");
    }

    #[test]
    fn what_the_operator_says_goes_first() {
        let mut edge = addresses("0.0.0.0:7480", "0.0.0.0:7443");
        edge.public.ips = vec!["2001:db8::7".parse().unwrap(), "203.0.113.7".parse().unwrap()];
        assert_eq!(edge.quic(&host("x")).unwrap(), "[2001:db8::7]:7443");
        assert_eq!(edge.websocket(&host("x")), "ws://[2001:db8::7]:7480/atoll/ws");
        edge.public.http_url = Some("https://edge.example".parse().unwrap());
        edge.public.quic_url = Some("https://quic.example:8443".parse().unwrap());
        assert_eq!(edge.quic(&host("x")).unwrap(), "quic.example:8443");
        assert_eq!(edge.webtransport(&host("x")).unwrap(), "https://quic.example:8443/atoll");
        assert_eq!(edge.websocket(&host("x")), "wss://edge.example/atoll/ws");
        assert_eq!(edge.names(), ["edge.example", "quic.example", "2001:db8::7", "203.0.113.7"]);
    }

    #[test]
    fn open_doors_without_a_public_address_are_warned_of() {
        assert!(addresses("127.0.0.1:1", "[::1]:2").warnings().is_empty());
        assert_eq!(addresses("0.0.0.0:1", "192.0.2.1:2").warnings().len(), 3);
        let mut edge = addresses("[::]:1", "[::]:2");
        assert_eq!(edge.warnings().len(), 3);
        edge.public.ips = vec!["203.0.113.7".parse().unwrap()];
        let warnings = edge.warnings();
        assert!(warnings.len() == 1 && warnings[0].contains("public.http_url"), "{warnings:?}");
        edge.public.http_url = Some("https://edge.example".parse().unwrap());
        assert!(edge.warnings().is_empty());
    }
}
