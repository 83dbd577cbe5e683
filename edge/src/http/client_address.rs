//! Whose request it is.

use crate::config::Network;
use atoll_compat::ClientAddress;
use axum::http::HeaderMap;
use std::net::{IpAddr, SocketAddr};

/// Reads `X-Forwarded-For` from right to left: each proxy appends whom it heard, so what stands left of the first address
/// that is no trusted proxy is only what that address claims. What cannot be read counts as its proxy's own.
pub(super) fn client_address(peer: IpAddr, headers: &HeaderMap, trusted: &[Network]) -> ClientAddress {
    let is_trusted = |address: IpAddr| trusted.iter().any(|network| network.contains(address));
    let mut nearest = peer.to_canonical();
    let lines = headers.get_all("x-forwarded-for").iter().rev();
    let mut entries = lines.flat_map(|line| line.as_bytes().rsplit(|byte| *byte == b','));
    while is_trusted(nearest) {
        let Some(address) = entries.next().and_then(address_of) else { break };
        nearest = address;
    }
    ClientAddress(nearest)
}

/// An address, perhaps with a port, as proxies write it.
fn address_of(entry: &[u8]) -> Option<IpAddr> {
    let entry = std::str::from_utf8(entry).ok()?.trim_matches([' ', '\t']);
    let address = match entry.parse::<SocketAddr>() {
        Ok(address) => address.ip(),
        Err(_) => match entry.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
            Some(inner) => inner.parse::<std::net::Ipv6Addr>().ok()?.into(),
            None => entry.parse().ok()?,
        },
    };
    Some(address.to_canonical())
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::http::HeaderValue;

    const TRUSTED: [&str; 3] = ["10.0.0.0/8", "127.0.0.1", "2001:db8::/64"];

    fn client(peer: &str, lines: &[&[u8]]) -> String {
        let trusted: Vec<Network> = TRUSTED.iter().map(|text| text.parse().unwrap()).collect();
        let mut headers = HeaderMap::new();
        for line in lines {
            headers.append("X-Forwarded-For", HeaderValue::from_bytes(line).unwrap());
        }
        client_address(peer.parse().unwrap(), &headers, &trusted).0.to_string()
    }

    #[test]
    fn a_stranger_is_itself_whatever_it_says() {
        for line in [&b"1.2.3.4"[..], b"10.0.0.1", b"127.0.0.1, 10.0.0.1", b""] {
            assert_eq!(client("192.0.2.9", &[line]), "192.0.2.9");
            assert_eq!(client("2001:db8:1::9", &[line, line]), "2001:db8:1::9");
        }
        assert_eq!(client("192.0.2.9", &[]), "192.0.2.9");
    }

    #[test]
    fn a_trusted_proxy_says_whom_it_heard() {
        assert_eq!(client("10.0.0.1", &[b"192.0.2.9"]), "192.0.2.9");
        assert_eq!(client("::ffff:10.0.0.1", &[b" 192.0.2.9\t"]), "192.0.2.9");
        assert_eq!(client("2001:db8::1", &[b"2001:db8:1::9"]), "2001:db8:1::9");
        assert_eq!(client("10.0.0.1", &[b"::ffff:192.0.2.9"]), "192.0.2.9");
        // Through two proxies.
        assert_eq!(client("10.0.0.1", &[b"192.0.2.9, 10.9.9.9"]), "192.0.2.9");
        assert_eq!(client("10.0.0.1", &[b"192.0.2.9,2001:db8::2 ,127.0.0.1"]), "192.0.2.9");
    }

    #[test]
    fn what_the_client_wrote_itself_is_not_believed() {
        assert_eq!(client("10.0.0.1", &[b"1.2.3.4, 192.0.2.9"]), "192.0.2.9");
        assert_eq!(client("10.0.0.1", &[b"127.0.0.1, 10.0.0.1, 192.0.2.9, 10.0.0.2"]), "192.0.2.9");
        // Its own header, before the one that the proxy added.
        assert_eq!(client("10.0.0.1", &[b"1.2.3.4", b"192.0.2.9"]), "192.0.2.9");
        assert_eq!(client("10.0.0.1", &[b"1.2.3.4, 192.0.2.9", b"10.0.0.2"]), "192.0.2.9");
    }

    #[test]
    fn addresses_come_with_ports_and_brackets_too() {
        assert_eq!(client("10.0.0.1", &[b"192.0.2.9:5555"]), "192.0.2.9");
        assert_eq!(client("10.0.0.1", &[b"[2001:db8:1::9]:5555"]), "2001:db8:1::9");
        assert_eq!(client("10.0.0.1", &[b"[2001:db8:1::9]"]), "2001:db8:1::9");
    }

    #[test]
    fn garbage_is_nobodys_address() {
        for garbage in [
            &b""[..],
            b",",
            b" , ",
            b"unknown",
            b"_hidden",
            b"1.2.3",
            b"1.2.3.4.5",
            b"\xff\xfe",
            b"[::1",
            b"::1]",
            b"1.2.3.4;9",
        ] {
            assert_eq!(client("10.0.0.1", &[garbage]), "10.0.0.1", "{garbage:?}");
        }
        // The last one that can be believed is the proxy that wrote the garbage down.
        assert_eq!(client("10.0.0.1", &[b"192.0.2.9, garbage, 10.0.0.2"]), "10.0.0.2");
        assert_eq!(client("10.0.0.1", &[b"garbage, 192.0.2.9"]), "192.0.2.9");
    }

    #[test]
    fn proxies_alone_are_the_furthest_of_them() {
        assert_eq!(client("10.0.0.1", &[]), "10.0.0.1");
        assert_eq!(client("10.0.0.1", &[b"10.0.0.3, 10.0.0.2"]), "10.0.0.3");
        assert_eq!(client("10.0.0.1", &[b"10.0.0.4", b"10.0.0.3, 10.0.0.2"]), "10.0.0.4");
    }

    #[test]
    fn nobody_is_trusted_by_default() {
        let mut headers = HeaderMap::new();
        headers.append("x-forwarded-for", HeaderValue::from_static("1.2.3.4"));
        let found = client_address("127.0.0.1".parse().unwrap(), &headers, &[]);
        assert_eq!(found, ClientAddress("127.0.0.1".parse().unwrap()));
    }
}
