//! Remembers which signed requests were used, for as long as they could be used again.

use super::signed_fetch::{SignedFetchError, check_time};
use atoll_proto::Address;
use atoll_proto::ethereum::keccak256;
use std::collections::BTreeSet;

/// Signed requests of one region that may be remembered at a time. At 30 to 50 bytes each they take about 6 MB; as they
/// stay for a minute, two at most when clients' clocks are ahead, 1,000 logins a second find room.
pub const MAX_REMEMBERED_FETCHES: usize = 131_072;

/// The signed requests used so far, at most a fixed number of them. One for each region, behind a lock.
///
/// What is remembered of a request is who signed which text, not the bytes it came in. Those can be had in many forms
/// that all verify: a signature with `s` replaced by the group order less `s`, other digits for the recovery byte, the
/// chain's JSON written anew or with further keys, the owner's address or the metadata in another case. None of
/// these changes the owner's twenty bytes or the lower-case text that was signed, and who can change those holds the key
/// and needs no replay. A client that wants two logins in one millisecond puts something of its own into the metadata.
#[derive(Debug)]
pub struct ReplayCache {
    capacity: usize,
    /// Timestamps and digests, oldest first.
    used: BTreeSet<(u64, Digest)>,
    /// The latest timestamp that was ever dropped from `used`.
    forgotten: Option<u64>,
}

/// Half of Keccak-256: if somebody finds two of their own requests with the same one, the second is refused.
type Digest = [u8; 16];

/// Why a signed request was not entered.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ReplayError {
    /// The request has been used, or its time is over.
    #[error(transparent)]
    Refused(#[from] SignedFetchError),
    /// As many requests are remembered as there is room for, and none may be forgotten yet.
    #[error("too many signed fetches in a short time")]
    Busy,
}

impl ReplayCache {
    /// An empty memory for at most `capacity` requests.
    pub fn new(capacity: usize) -> Self {
        Self { capacity, used: BTreeSet::new(), forgotten: None }
    }

    /// Enters a request that has been verified. Only one call for the same `owner` and `payload` succeeds.
    ///
    /// `payload` is [`SignedFetch::payload`](super::SignedFetch::payload) and holds `timestamp`; both that and `now` are
    /// in milliseconds since 1970. The time is checked here too, in the same step: a request that waited for its
    /// verification until it was too old must not come back when its entry is gone.
    ///
    /// # Errors
    /// [`ReplayError`]; a request that was refused with [`ReplayError::Busy`] is as good as before.
    pub fn enter(&mut self, owner: Address, payload: &str, timestamp: u64, now: u64) -> Result<(), ReplayError> {
        check_time(timestamp, now)?;
        self.forget(now);
        // After the clock was set back, times come again whose entries have left.
        if self.forgotten.is_some_and(|forgotten| timestamp <= forgotten) {
            return Err(SignedFetchError::TooOld { timestamp, now }.into());
        }
        let entry = (timestamp, digest(owner, payload));
        if self.used.contains(&entry) {
            return Err(SignedFetchError::Used.into());
        }
        if self.used.len() >= self.capacity {
            return Err(ReplayError::Busy);
        }
        self.used.insert(entry);
        Ok(())
    }

    /// Drops what is refused by its time alone from now on.
    fn forget(&mut self, now: u64) {
        while let Some(&(timestamp, _)) = self.used.first() {
            if timestamp >= now || check_time(timestamp, now).is_ok() {
                return;
            }
            self.used.pop_first();
            self.forgotten = self.forgotten.max(Some(timestamp));
        }
    }
}

fn digest(owner: Address, payload: &str) -> Digest {
    // The address has a fixed length, so no two pairs run into the same bytes.
    let whole = keccak256(&[&owner.0, payload.as_bytes()].concat());
    let mut half = Digest::default();
    half.copy_from_slice(&whole[..16]);
    half
}

#[cfg(test)]
mod tests;
