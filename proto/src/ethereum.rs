//! What an Ethereum wallet signs, and how an address follows from a key.

use crate::Address;
use sha3::{Digest, Keccak256};

/// The Keccak-256 digest of `bytes`.
pub fn keccak256(bytes: &[u8]) -> [u8; 32] {
    Keccak256::digest(bytes).into()
}

/// The digest that `personal_sign` signs for a text (EIP-191, version `E`).
///
/// `text` is the UTF-8 text itself; the prefix counts its bytes.
pub fn personal_message_hash(text: &[u8]) -> [u8; 32] {
    let mut hasher = Keccak256::new();
    hasher.update(b"\x19Ethereum Signed Message:\n");
    hasher.update(text.len().to_string().as_bytes());
    hasher.update(text);
    hasher.finalize().into()
}

/// The address of an uncompressed secp256k1 public key: `x || y`, without the leading `04`.
pub fn address_of_public_key(key: &[u8; 64]) -> Address {
    let digest = keccak256(key);
    let mut address = [0; 20];
    address.copy_from_slice(&digest[12..]);
    Address(address)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keccak_is_not_sha3() {
        // The digest of nothing, as the Ethereum yellow paper's KEC(()) gives it.
        assert_eq!(keccak256(b"")[..4], [0xc5, 0xd2, 0x46, 0x01]);
    }

    #[test]
    fn the_prefix_counts_bytes() {
        let by_hand = keccak256("\x19Ethereum Signed Message:\n2é".as_bytes());
        assert_eq!(personal_message_hash("é".as_bytes()), by_hand);
    }
}
