//! The names a certificate is for.

use crate::CertError;
use rcgen::SanType;
use rustls::pki_types::ServerName;
use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use x509_parser::extensions::GeneralName;

/// A name a client may reach the edge by.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Name {
    /// In lower case.
    Dns(String),
    Ip(IpAddr),
}

/// `localhost`, both loopback addresses, and `further` names and IP addresses; each once.
pub(crate) fn all_names(further: &[String]) -> Result<BTreeSet<Name>, CertError> {
    let mut names = BTreeSet::from([
        Name::Dns("localhost".to_owned()),
        Name::Ip(Ipv4Addr::LOCALHOST.into()),
        Name::Ip(Ipv6Addr::LOCALHOST.into()),
    ]);
    for text in further {
        names.insert(Name::parse(text)?);
    }
    Ok(names)
}

impl Name {
    fn parse(text: &str) -> Result<Self, CertError> {
        match ServerName::try_from(text) {
            Ok(ServerName::DnsName(name)) => Ok(Self::Dns(name.as_ref().to_ascii_lowercase())),
            Ok(ServerName::IpAddress(address)) => Ok(Self::Ip(address.into())),
            _ => Err(CertError::Name(text.to_owned())),
        }
    }

    /// The name as rcgen writes it into a certificate.
    pub(crate) fn to_san(&self) -> Result<SanType, rcgen::Error> {
        Ok(match self {
            Self::Dns(name) => SanType::DnsName(name.as_str().try_into()?),
            Self::Ip(address) => SanType::IpAddress(*address),
        })
    }

    /// A name read from a certificate; nothing if it is of a kind that this crate does not write.
    pub(crate) fn from_general(name: &GeneralName<'_>) -> Option<Self> {
        match name {
            GeneralName::DNSName(name) => Some(Self::Dns((*name).to_owned())),
            GeneralName::IPAddress(bytes) => match bytes.len() {
                4 => <[u8; 4]>::try_from(*bytes).ok().map(|octets| Self::Ip(octets.into())),
                16 => <[u8; 16]>::try_from(*bytes).ok().map(|octets| Self::Ip(octets.into())),
                _ => None,
            },
            _ => None,
        }
    }
}
