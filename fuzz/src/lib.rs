//! What the fuzz targets in `targets/` share. `fuzz/run` builds and runs them.

#![forbid(unsafe_code)]

use std::time::Duration;

/// A fuzzer's bytes as a list of choices. When they are used up, every choice is 0.
#[derive(Debug)]
pub struct Input<'a> {
    rest: &'a [u8],
}

impl<'a> Input<'a> {
    /// Reads from the front of `bytes`.
    pub const fn new(bytes: &'a [u8]) -> Self {
        Self { rest: bytes }
    }

    /// Whether nothing is left.
    pub const fn is_empty(&self) -> bool {
        self.rest.is_empty()
    }

    /// One byte.
    pub fn byte(&mut self) -> u8 {
        let Some((&byte, rest)) = self.rest.split_first() else {
            return 0;
        };
        self.rest = rest;
        byte
    }

    /// At most `length` bytes, as many as are left.
    pub fn bytes(&mut self, length: usize) -> &'a [u8] {
        let (bytes, rest) = self.rest.split_at(length.min(self.rest.len()));
        self.rest = rest;
        bytes
    }

    /// Everything that is left.
    pub fn rest(self) -> &'a [u8] {
        self.rest
    }

    /// A number that is likely to be trouble: near `base`, near either end, or anything.
    pub fn number(&mut self, base: u64) -> u64 {
        let choice = self.byte();
        let by = u64::from(choice & 31);
        match choice >> 5 {
            0 => by,
            1 => u64::MAX - by,
            2 | 3 => base.saturating_add(by),
            4 => base.saturating_sub(by),
            5 => base.saturating_add(by << 5),
            _ => self.bytes(8).iter().fold(0, |number, byte| number << 8 | u64::from(*byte)),
        }
    }

    /// A time of up to a quarter of a second.
    pub fn time(&mut self) -> Duration {
        Duration::from_millis(u64::from(self.byte()))
    }
}
