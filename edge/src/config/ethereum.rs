//! `ethereum.network`.

use std::fmt;
use std::str::FromStr;

/// An Ethereum network that a realm may belong to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EthereumNetwork {
    /// The main one.
    Mainnet,
    /// A test network, given up since.
    Goerli,
    /// Its successor.
    Sepolia,
}

/// A text that is no [`EthereumNetwork`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a network is mainnet, goerli or sepolia")]
pub struct EthereumNetworkError;

impl EthereumNetwork {
    /// The network's number.
    pub fn id(self) -> u64 {
        match self {
            Self::Mainnet => 1,
            Self::Goerli => 5,
            Self::Sepolia => 11_155_111,
        }
    }
}

impl FromStr for EthereumNetwork {
    type Err = EthereumNetworkError;

    fn from_str(text: &str) -> Result<Self, EthereumNetworkError> {
        match text {
            "mainnet" => Ok(Self::Mainnet),
            "goerli" => Ok(Self::Goerli),
            "sepolia" => Ok(Self::Sepolia),
            _ => Err(EthereumNetworkError),
        }
    }
}

impl fmt::Display for EthereumNetwork {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Mainnet => "mainnet",
            Self::Goerli => "goerli",
            Self::Sepolia => "sepolia",
        })
    }
}
