//! Signatures of contract wallets (EIP-1271, before it EIP-1654), which only the contract itself can judge.

use atoll_proto::Address;
use atoll_proto::ethereum::{keccak256, personal_message_hash};
use std::fmt::Debug;
use std::pin::Pin;

/// A signature to show to a contract.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct ContractSignature {
    /// The contract that is the wallet.
    pub contract: Address,
    /// What it is said to have signed.
    pub text: String,
    /// The signature, in whatever form the contract reads.
    pub signature: Vec<u8>,
}

impl ContractSignature {
    /// The digests that wallets may have signed: that of the text as such, which is tried first, and that of
    /// `personal_sign`.
    pub fn digests(&self) -> [[u8; 32]; 2] {
        let text = self.text.as_bytes();
        [keccak256(text), personal_message_hash(text)]
    }
}

/// An answer on its way from an Ethereum node.
pub type ContractAnswer = Pin<Box<dyn Future<Output = Result<bool, NoEthereumNode>> + Send>>;

/// Asks contracts, by an Ethereum node.
pub trait ContractWallets: Debug + Send + Sync + 'static {
    /// Whether the contract takes the signature for its own. Answers within the second that a client waits for a login.
    fn is_valid(&self, signature: ContractSignature) -> ContractAnswer;
}

/// No Ethereum node answered in time.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the Ethereum node could not be asked: {0}")]
pub struct NoEthereumNode(pub String);

/// Reads a signature as hexadecimal after `0x`.
pub(super) fn parse_signature(text: &str) -> Option<Vec<u8>> {
    let digits = text.strip_prefix("0x")?.as_bytes();
    let pairs = digits.chunks_exact(2);
    if !pairs.remainder().is_empty() {
        return None;
    }
    let digit = |digit: u8| char::from(digit).to_digit(16).map(|value| value as u8);
    pairs.map(|pair| Some(digit(pair[0])? << 4 | digit(pair[1])?)).collect()
}
