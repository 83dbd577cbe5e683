//! The ids by which packets find their connection.

use aws_lc_rs::hmac;
use quinn::ConnectionId;
use quinn_proto::{ConnectionIdGenerator, InvalidCid};
use std::time::Duration;

/// Bytes that tell connections apart. The generator that comes with the library has three, and a Retry's id is not
/// checked against those in use: with a few hundred connections some newcomers' packets then went to somebody else's.
const NONCE: usize = 6;

/// Bytes that show that an id is this edge's, so that packets for ids of others are dropped without an answer. Eight in all,
/// since each takes from what a datagram of a client can carry.
const CHECK: usize = 2;

/// Makes ids that a restarted edge with the same key knows as its own: packets for connections of the former process are
/// then answered by a reset.
pub(super) struct ConnectionIds {
    key: hmac::Key,
    /// Different for each process.
    start: [u8; 16],
    made: u64,
}

impl ConnectionIds {
    /// Ids under `key`. `start` is random.
    pub(super) fn new(key: &[u8], start: [u8; 16]) -> Self {
        Self { key: hmac::Key::new(hmac::HMAC_SHA256, key), start, made: 0 }
    }

    fn check(&self, nonce: &[u8]) -> [u8; CHECK] {
        first(&hmac::sign(&self.key, nonce))
    }
}

impl ConnectionIdGenerator for ConnectionIds {
    fn generate_cid(&mut self) -> ConnectionId {
        self.made += 1;
        let mut counted = hmac::Context::with_key(&self.key);
        counted.update(&self.start);
        counted.update(&self.made.to_be_bytes());
        let nonce: [u8; NONCE] = first(&counted.sign());
        let mut id = [0; NONCE + CHECK];
        id[..NONCE].copy_from_slice(&nonce);
        id[NONCE..].copy_from_slice(&self.check(&nonce));
        ConnectionId::new(&id)
    }

    fn validate(&self, id: &ConnectionId) -> Result<(), InvalidCid> {
        match id.split_at_checked(NONCE) {
            Some((nonce, check)) if *check == self.check(nonce) => Ok(()),
            _ => Err(InvalidCid),
        }
    }

    fn cid_len(&self) -> usize {
        NONCE + CHECK
    }

    fn cid_lifetime(&self) -> Option<Duration> {
        None
    }
}

/// The first bytes of a longer tag.
fn first<const N: usize>(tag: &hmac::Tag) -> [u8; N] {
    let mut bytes = [0; N];
    bytes.iter_mut().zip(tag.as_ref()).for_each(|(byte, from)| *byte = *from);
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn ids_are_different_and_known_to_whoever_has_the_key() {
        let mut before = ConnectionIds::new(&[1; 8], [1; 16]);
        let mut after = ConnectionIds::new(&[1; 8], [2; 16]);
        let other = ConnectionIds::new(&[2; 8], [1; 16]);
        let mut ids = HashSet::new();
        for _ in 0..10_000 {
            for id in [before.generate_cid(), after.generate_cid()] {
                assert_eq!(id.len(), 8);
                assert!(ids.insert(id));
                assert!(before.validate(&id).is_ok() && after.validate(&id).is_ok());
            }
        }
        let taken = ids.iter().filter(|id| other.validate(id).is_ok()).count();
        assert!(taken < 10, "one in 65,536 by chance, not {taken} of 20,000");
        assert!(before.validate(&ConnectionId::new(&[0; 4])).is_err());
    }
}
