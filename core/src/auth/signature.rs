//! Wallet signatures (`personal_sign`) as auth chains carry them.

use atoll_proto::Address;
use atoll_proto::ethereum::{address_of_public_key, personal_message_hash};
use secp256k1::ecdsa::{RecoverableSignature, RecoveryId};

/// A recoverable signature over secp256k1.
#[derive(Clone, Copy, Debug)]
pub(super) struct Signature(RecoverableSignature);

impl Signature {
    /// Reads lower-case `0x` and the digits of 65 bytes, of any case: `r`, `s` and the recovery byte.
    ///
    /// An odd last digit stands for a byte of its own, and only 1 and 28 as recovery byte mean the odd point: every
    /// other value means the even one. Nothing if the text is not so, or if `r` or `s` is not below the group order.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let digits = text.strip_prefix("0x")?.as_bytes();
        if digits.len().div_ceil(2) != 65 {
            return None;
        }
        let mut bytes = [0; 65];
        for (byte, pair) in bytes.iter_mut().zip(digits.chunks(2)) {
            for digit in pair {
                *byte = *byte << 4 | char::from(*digit).to_digit(16)? as u8;
            }
        }
        let [compact @ .., recovery] = bytes;
        let recovery = match recovery {
            1 | 28 => RecoveryId::One,
            _ => RecoveryId::Zero,
        };
        RecoverableSignature::from_compact(&compact, recovery).ok().map(Self)
    }

    /// The address whose key made this signature of `text`; nothing if no key can have made it.
    ///
    /// Both forms of `s` are taken, the high one too.
    pub(super) fn signer_of(&self, text: &str) -> Option<Address> {
        let digest = secp256k1::Message::from_digest(personal_message_hash(text.as_bytes()));
        let key = self.0.recover_ecdsa(digest).ok()?.serialize_uncompressed();
        let mut point = [0; 64];
        point.copy_from_slice(&key[1..]);
        Some(address_of_public_key(&point))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The key 0x11 × 32 on `dcl-0.abc`, as @dcl/crypto signs it, without its recovery byte.
    const BODY: &str = concat!(
        "0x1b7eb4ec4c23a91bdfcf66d0460fb4379afa05a5e8ce9e8ba5ca00022be2fcf2",
        "71ef812035cc36bef14f59be52780b3076470069360d48c173ab163fe317964c"
    );
    const SIGNER: &str = "0x19e7e376e7c213b7e7e7e46cc70a5dd086daff2a";

    fn signer(signature: &str) -> Option<String> {
        Signature::parse(signature)?.signer_of("dcl-0.abc").map(|address| address.to_string())
    }

    #[test]
    fn the_recovery_byte_has_two_meanings() {
        for even in ["1b", "1B", "00", "02", "1d", "25", "ff", "0", "f"] {
            assert_eq!(signer(&format!("{BODY}{even}")).as_deref(), Some(SIGNER), "{even}");
        }
        let other = signer(&format!("{BODY}1c"));
        assert!(other.is_some() && other.as_deref() != Some(SIGNER));
        for odd in ["1C", "01", "1"] {
            assert_eq!(signer(&format!("{BODY}{odd}")), other, "{odd}");
        }
    }

    #[test]
    fn the_high_form_of_s_is_taken() {
        let high = "8e107edfca33c9410eb0a641ad87f4ce4467dc7d793b577a4c27484ced1eaaf5";
        assert_eq!(signer(&format!("{}{high}1c", &BODY[..66])).as_deref(), Some(SIGNER));
    }

    #[test]
    fn other_texts_are_refused() {
        let zeros = "0".repeat(128);
        for text in [
            String::new(),
            "0x".to_owned(),
            BODY.to_owned(),
            format!("{BODY}1b0"),
            format!("{BODY}1b00"),
            format!("{BODY}1g"),
            format!("{BODY}+1"),
            format!(" {BODY}1b"),
            format!("{BODY}1b\n"),
            format!("0X{}1b", &BODY[2..]),
            format!("{}1b", &BODY[2..]),
            format!("0x{}1b", "f".repeat(128)),
        ] {
            assert!(Signature::parse(&text).is_none(), "{text}");
        }
        assert_eq!(signer(&format!("0x{zeros}1b")), None);
    }
}
