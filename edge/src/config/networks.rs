//! `trusted_proxies`.

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

/// Addresses that share their first bits, such as `10.0.0.0/8`; a single address shares all of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Network {
    /// The address in IPv6 form, IPv4 addresses mapped, without the bits beyond the prefix.
    bits: u128,
    /// How many bits count, of 128.
    prefix: u32,
}

/// A text that is not a [`Network`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a network is an IP address, or one with `/` and the length of its prefix")]
pub struct NetworkError;

impl Network {
    /// Whether `address` belongs to it. An IPv4 address that arrives in IPv6 form is the IPv4 address.
    pub fn contains(&self, address: IpAddr) -> bool {
        mapped(address) & mask(self.prefix) == self.bits
    }
}

impl FromStr for Network {
    type Err = NetworkError;

    /// Bits beyond the prefix must be zero: `10.0.0.1/8` is more likely a slip than `10.0.0.0/8`.
    fn from_str(text: &str) -> Result<Self, NetworkError> {
        let (address, length) = text.split_once('/').map_or((text, None), |(address, length)| (address, Some(length)));
        let address: IpAddr = address.parse().map_err(|_| NetworkError)?;
        let width: u32 = if address.is_ipv4() { 32 } else { 128 };
        let length = match length {
            None => width,
            Some(digits) if digits.bytes().all(|digit| digit.is_ascii_digit()) => {
                digits.parse().ok().filter(|length| *length <= width).ok_or(NetworkError)?
            }
            Some(_) => return Err(NetworkError),
        };
        let prefix = 128 - width + length;
        let bits = mapped(address);
        if bits & !mask(prefix) != 0 {
            return Err(NetworkError);
        }
        Ok(Self { bits, prefix })
    }
}

impl fmt::Display for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let address = std::net::Ipv6Addr::from(self.bits);
        match address.to_ipv4_mapped().filter(|_| self.prefix >= 96) {
            Some(address) => write!(f, "{address}/{}", self.prefix - 96),
            None => write!(f, "{address}/{}", self.prefix),
        }
    }
}

fn mapped(address: IpAddr) -> u128 {
    match address {
        IpAddr::V4(address) => address.to_ipv6_mapped().into(),
        IpAddr::V6(address) => address.into(),
    }
}

/// The first `prefix` of 128 bits.
fn mask(prefix: u32) -> u128 {
    u128::MAX.checked_shl(128 - prefix).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_network_holds_what_shares_its_prefix() {
        for (network, inside, outside) in [
            (
                "10.0.0.0/8",
                &["10.0.0.0", "10.255.255.255", "::ffff:10.1.2.3"][..],
                &["11.0.0.0", "9.255.255.255", "::1"][..],
            ),
            ("192.0.2.7", &["192.0.2.7", "::ffff:192.0.2.7"], &["192.0.2.6", "::c000:207"]),
            ("192.0.2.7/32", &["192.0.2.7"], &["192.0.2.8"]),
            ("0.0.0.0/0", &["1.2.3.4", "::ffff:1.2.3.4"], &["::1", "2001:db8::1"]),
            ("2001:db8::/32", &["2001:db8::1", "2001:db8:ffff::"], &["2001:db9::", "32.1.13.184"]),
            ("::1", &["::1"], &["::", "127.0.0.1", "::2"]),
            ("::/0", &["::1", "ffff::", "1.2.3.4"], &[]),
            ("fe80::/9", &["fe80::1", "feff::"], &["ff00::"]),
        ] {
            let network: Network = network.parse().unwrap();
            for address in inside {
                assert!(network.contains(address.parse().unwrap()), "{address} is in {network}");
            }
            for address in outside {
                assert!(!network.contains(address.parse().unwrap()), "{address} is not in {network}");
            }
            assert_eq!(network.to_string().parse(), Ok(network));
        }
    }

    #[test]
    fn other_texts_are_refused() {
        for text in [
            "",
            "/",
            "/8",
            "10.0.0.0/",
            "10.0.0.0/33",
            "10.0.0.0/-1",
            "10.0.0.0/+8",
            "10.0.0.1/8",
            "10.0.0/8",
            "::/129",
            "::1/64",
            "10.0.0.0/8/8",
            " 10.0.0.1",
            "localhost",
            "[::1]",
            "10.0.0.1:80",
            "1.2.3.4/0x8",
        ] {
            assert_eq!(text.parse::<Network>(), Err(NetworkError), "{text}");
        }
    }
}
