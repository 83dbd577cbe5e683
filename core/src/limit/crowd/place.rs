//! Where somebody comes from.

use std::net::{IpAddr, Ipv6Addr};

/// Bits of an IPv6 address that a provider gives to one connection.
const PLACE: u32 = 64;

/// Bits that it gives to one customer at most.
const NETWORK: u32 = 48;

/// Where somebody comes from, as a crowd sees it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::limit) struct Origin {
    /// An IPv4 address, or the first 64 bits of an IPv6 address.
    pub(in crate::limit) place: IpAddr,
    /// The same IPv4 address, or the first 48 bits.
    pub(in crate::limit) network: IpAddr,
}

impl Origin {
    pub(in crate::limit) fn of(address: IpAddr) -> Self {
        match address.to_canonical() {
            IpAddr::V6(address) => Self { place: first_bits(address, PLACE), network: first_bits(address, NETWORK) },
            address => Self { place: address, network: address },
        }
    }
}

fn first_bits(address: Ipv6Addr, count: u32) -> IpAddr {
    Ipv6Addr::from_bits(address.to_bits() & (u128::MAX << (128 - count))).into()
}
