//! A throw-away Ethereum wallet that signs as Decentraland clients do.

use atoll_proto::Address;
use atoll_proto::ethereum::{address_of_public_key, keccak256, personal_message_hash};
use secp256k1::SecretKey;
use secp256k1::ecdsa::RecoverableSignature;
use std::fmt;
use std::time::SystemTime;
use time::OffsetDateTime;

/// An owner's key and the ephemeral key it delegates to.
///
/// Decentraland clients sign once with the owner's key (the browser wallet asks the person) and from then on with the
/// ephemeral one. Both live in memory only.
#[derive(Debug, Clone)]
pub struct Wallet {
    owner: SigningKey,
    ephemeral: SigningKey,
}

/// One secp256k1 key that signs texts with `personal_sign`.
#[derive(Clone)]
pub struct SigningKey {
    secret: SecretKey,
    address: Address,
}

/// One link of an auth chain.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AuthLink {
    /// `SIGNER`, `ECDSA_EPHEMERAL` or `ECDSA_SIGNED_ENTITY`; anything, in a test.
    pub kind: String,
    /// What the link says: an address, an ephemeral message, or the signed text.
    pub payload: String,
    /// `0x` and 130 hexadecimal digits; empty for `SIGNER`.
    pub signature: String,
}

/// Why a key cannot be made.
#[derive(Debug, thiserror::Error)]
pub enum WalletError {
    /// The operating system gave no random bytes.
    #[error("no random bytes: {0}")]
    Random(#[from] getrandom::Error),
    /// The 32 bytes are no secret key: zero, or not below the order of the curve.
    #[error("these 32 bytes are no secp256k1 secret key")]
    NotAKey,
}

impl Wallet {
    /// A wallet with two random keys.
    ///
    /// # Errors
    /// [`WalletError::Random`] when the operating system gives no random bytes.
    pub fn random() -> Result<Self, WalletError> {
        let (mut owner, mut ephemeral) = ([0; 32], [0; 32]);
        getrandom::fill(&mut owner)?;
        getrandom::fill(&mut ephemeral)?;
        Self::from_keys(owner, ephemeral)
    }

    /// The wallet with these two secret keys: the same bytes make the same wallet and the same signatures (RFC 6979).
    ///
    /// # Errors
    /// [`WalletError::NotAKey`] when one of them is zero or not below the order of the curve.
    pub fn from_keys(owner: [u8; 32], ephemeral: [u8; 32]) -> Result<Self, WalletError> {
        Ok(Self { owner: SigningKey::new(owner)?, ephemeral: SigningKey::new(ephemeral)? })
    }

    /// The owner's address: who the peer is.
    pub fn address(&self) -> Address {
        self.owner.address
    }

    /// The key that stands for the person.
    pub fn owner(&self) -> &SigningKey {
        &self.owner
    }

    /// The key the owner delegates to.
    pub fn ephemeral(&self) -> &SigningKey {
        &self.ephemeral
    }

    /// The three links that sign `challenge`: the owner, its delegation until `expiration`, and the signed challenge.
    pub fn links(&self, challenge: &str, expiration: SystemTime) -> Vec<AuthLink> {
        let delegation = ephemeral_message(&self.ephemeral, expiration);
        let owner =
            AuthLink { kind: "SIGNER".to_owned(), payload: self.owner.checksum_address(), signature: String::new() };
        vec![
            owner,
            AuthLink::signed("ECDSA_EPHEMERAL", &delegation, &self.owner),
            AuthLink::signed("ECDSA_SIGNED_ENTITY", challenge, &self.ephemeral),
        ]
    }

    /// The auth chain that signs `challenge`, as JSON text; see [`Wallet::links`].
    pub fn sign(&self, challenge: &str, expiration: SystemTime) -> String {
        auth_chain_json(&self.links(challenge, expiration))
    }
}

/// The text that a signed fetch signs (ADR-44): method, path, milliseconds since 1970 and metadata, in lower case.
pub fn signed_fetch_text(method: &str, path: &str, timestamp: u64, metadata: &str) -> String {
    format!("{method}:{path}:{timestamp}:{metadata}").to_lowercase()
}

impl AuthLink {
    /// A link whose `payload` is signed by `key`.
    pub fn signed(kind: &str, payload: &str, key: &SigningKey) -> Self {
        Self { kind: kind.to_owned(), payload: payload.to_owned(), signature: key.personal_sign(payload) }
    }
}

/// The JSON text of an auth chain: an array of `{type, payload, signature}`.
pub fn auth_chain_json(links: &[AuthLink]) -> String {
    let links = links
        .iter()
        .map(|link| serde_json::json!({"type": link.kind, "payload": link.payload, "signature": link.signature}));
    serde_json::Value::Array(links.collect()).to_string()
}

/// The text with which an owner delegates to `key` until `expiration` (milliseconds are kept).
pub fn ephemeral_message(key: &SigningKey, expiration: SystemTime) -> String {
    format!("Decentraland Login\nEphemeral address: {}\nExpiration: {}", key.checksum_address(), iso_8601(expiration))
}

impl SigningKey {
    /// The key with these 32 secret bytes.
    ///
    /// # Errors
    /// [`WalletError::NotAKey`] when they are zero or not below the order of the curve.
    pub fn new(secret: [u8; 32]) -> Result<Self, WalletError> {
        let secret = SecretKey::from_secret_bytes(secret).map_err(|_| WalletError::NotAKey)?;
        let public = secret.public_key().serialize_uncompressed();
        let mut coordinates = [0; 64];
        coordinates.copy_from_slice(&public[1..]);
        Ok(Self { secret, address: address_of_public_key(&coordinates) })
    }

    /// The address of this key.
    pub fn address(&self) -> Address {
        self.address
    }

    /// The address in the mixed case of EIP-55, as wallets write it.
    pub fn checksum_address(&self) -> String {
        let lower = self.address.to_string();
        let digest = keccak256(&lower.as_bytes()[2..]);
        let cased = lower.chars().enumerate().map(|(index, digit)| {
            // Digit n (behind `0x`) is upper-case when nibble n of the digest is 8 or more.
            let nibble = index.checked_sub(2).map_or(0, |n| digest[n / 2] >> (4 * (1 - n % 2)) & 0x0f);
            if nibble >= 8 { digit.to_ascii_uppercase() } else { digit }
        });
        cased.collect()
    }

    /// The `personal_sign` signature of a text: `0x`, then r, s and v (27 or 28) in hexadecimal.
    pub fn personal_sign(&self, text: &str) -> String {
        let digest = secp256k1::Message::from_digest(personal_message_hash(text.as_bytes()));
        let signature = RecoverableSignature::sign_ecdsa_recoverable(digest, &self.secret);
        let (recovery, compact) = signature.serialize_compact();
        let mut hexadecimal = String::from("0x");
        for byte in compact.into_iter().chain([27 + recovery.to_u8()]) {
            hexadecimal.push_str(&format!("{byte:02x}"));
        }
        hexadecimal
    }
}

impl fmt::Debug for SigningKey {
    /// The address only: a secret has no place in a log.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("SigningKey").field(&self.address).finish()
    }
}

/// ISO 8601 with milliseconds and `Z`, as JavaScript's `toISOString` writes years up to 9999.
fn iso_8601(time: SystemTime) -> String {
    let time = OffsetDateTime::from(time);
    format!(
        "{:04}-{:02}-{:02}T{:02}:{:02}:{:02}.{:03}Z",
        time.year(),
        u8::from(time.month()),
        time.day(),
        time.hour(),
        time.minute(),
        time.second(),
        time.millisecond()
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::{Duration, UNIX_EPOCH};

    const CHALLENGE: &str = "dcl-0.abc";

    /// The keys of the recorded chain: 32 times 11 and 32 times 22.
    fn recorded() -> Wallet {
        Wallet::from_keys([0x11; 32], [0x22; 32]).unwrap()
    }

    /// 2100-01-01T00:00:00.000Z.
    fn year_2100() -> SystemTime {
        UNIX_EPOCH + Duration::from_secs(4_102_444_800)
    }

    #[test]
    fn addresses_are_those_of_the_keys() {
        let wallet = recorded();
        assert_eq!(wallet.address().to_string(), "0x19e7e376e7c213b7e7e7e46cc70a5dd086daff2a");
        assert_eq!(wallet.ephemeral().checksum_address(), "0x1563915e194D8CfBA1943570603F7606A3115508");
    }

    /// The signatures that npm:@dcl/crypto 3.4.0 makes with the same keys: what clients send, byte for byte.
    #[test]
    fn signatures_are_those_of_the_original_library() {
        let wallet = recorded();
        let simple = wallet.owner().personal_sign(CHALLENGE);
        assert_eq!(
            simple,
            "0x1b7eb4ec4c23a91bdfcf66d0460fb4379afa05a5e8ce9e8ba5ca00022be2fcf271ef812035cc36bef14f59be52780b3076470069360d48c173ab163fe317964c1b"
        );
        let links = wallet.links(CHALLENGE, year_2100());
        let kinds: Vec<_> = links.iter().map(|link| link.kind.as_str()).collect();
        assert_eq!(kinds, ["SIGNER", "ECDSA_EPHEMERAL", "ECDSA_SIGNED_ENTITY"]);
        assert!(links[1].payload.ends_with("\nExpiration: 2100-01-01T00:00:00.000Z"));
        assert_eq!(links[2].payload, CHALLENGE);
        assert_eq!(links[0].signature, "");
        assert_eq!(
            links[1].signature,
            "0x0a840c5b8a270606edd66c02809550f0521ac797673012b3d4b52ac1629529da4e4809cc2f755e0b5fc081ade6717e03a6ba48eaafadf2a0489bee25db8987a11c"
        );
        assert_eq!(
            links[2].signature,
            "0x5b924e64812680a43018b98c36b6a900b9396078ffd10ef59494d497139e5dde468449619d64ba9be0d85a964b4d6d9810e4e9749d7e3da0c2e5d785fed5c4981b"
        );
    }

    #[test]
    fn the_chain_is_json_with_the_names_clients_use() {
        let json: serde_json::Value =
            serde_json::from_str(&recorded().sign("a \"quoted\"\ntext", year_2100())).unwrap();
        let links = json.as_array().unwrap();
        assert_eq!(links.len(), 3);
        assert_eq!(links[0]["type"], "SIGNER");
        assert_eq!(links[2]["payload"], "a \"quoted\"\ntext");
        assert_eq!(links[2]["signature"].as_str().unwrap().len(), 132);
    }

    #[test]
    fn zero_is_no_key_and_random_wallets_differ() {
        assert!(matches!(SigningKey::new([0; 32]), Err(WalletError::NotAKey)));
        assert_ne!(Wallet::random().unwrap().address(), Wallet::random().unwrap().address());
    }
}
