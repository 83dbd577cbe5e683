//! Makes auth chains for tests.

use atoll_proto::Address;
use atoll_proto::ethereum::{address_of_public_key, personal_message_hash};
use secp256k1::ecdsa::RecoverableSignature;
use secp256k1::{Message, SecretKey};

/// A wallet or an ephemeral key.
pub(crate) struct Key(SecretKey);

impl Key {
    /// The key whose 32 bytes are all `byte`.
    pub(crate) fn of(byte: u8) -> Self {
        Self(SecretKey::from_secret_bytes([byte; 32]).unwrap())
    }

    pub(crate) fn address(&self) -> Address {
        let key = secp256k1::PublicKey::from_secret_key(&self.0).serialize_uncompressed();
        address_of_public_key(key[1..].try_into().unwrap())
    }

    /// `0x` and 65 bytes in hexadecimal.
    pub(crate) fn sign(&self, text: &str) -> String {
        let digest = Message::from_digest(personal_message_hash(text.as_bytes()));
        let (recovery, compact) = RecoverableSignature::sign_ecdsa_recoverable(digest, &self.0).serialize_compact();
        let digits: String = compact.iter().map(|byte| format!("{byte:02x}")).collect();
        format!("0x{digits}{:02x}", 27 + recovery.to_u8())
    }

    pub(crate) fn signed_entity(&self, text: &str) -> serde_json::Value {
        serde_json::json!({"type": "ECDSA_SIGNED_ENTITY", "payload": text, "signature": self.sign(text)})
    }

    pub(crate) fn ephemeral(&self, next: &Self, expiration: &str) -> serde_json::Value {
        let text = format!("Decentraland Login\nEphemeral address: {}\nExpiration: {expiration}", next.address());
        serde_json::json!({"type": "ECDSA_EPHEMERAL", "payload": text, "signature": self.sign(&text)})
    }

    pub(crate) fn owner(&self) -> serde_json::Value {
        serde_json::json!({"type": "SIGNER", "payload": self.address().to_string(), "signature": ""})
    }
}
