//! Binary messages of a WebSocket, taken apart down to the messages in their channels.
#![no_main]

use atoll_fuzz::Input;
use atoll_proto::atoll::{ClientMessage, LargeHeader, OrderedMessage, large_header, ordered_message};
use atoll_proto::channel::{Channel, join, split};
use atoll_proto::datagram::Up;
use atoll_proto::decode;
use atoll_proto::framing::{MAX_MESSAGE, take_frame};
use atoll_proto::lanes::{Incoming, MAX_BEYOND, MAX_LARGE, MAX_LARGE_HEADER, MAX_ORDERED_FRAME};
use bytes::{Bytes, BytesMut};
use libfuzzer_sys::fuzz_target;

/// What arrived and is not used up yet.
#[derive(Default)]
struct Session {
    control: BytesMut,
    ordered: BytesMut,
    large: BytesMut,
    /// Bytes of the large message that are still to come.
    missing: usize,
    incoming: Incoming,
}

impl Session {
    /// `None` when the session ends.
    fn message(&mut self, message: &Bytes) -> Option<()> {
        let (channel, bytes) = split(message).ok()?;
        assert_eq!(join(channel, &bytes), message);
        match channel {
            Channel::Control => {
                self.control.extend_from_slice(&bytes);
                while let Some(frame) = take_frame(&mut self.control, MAX_MESSAGE).ok()? {
                    decode::<ClientMessage>(&frame).ok()?;
                }
            }
            Channel::Ordered => self.ordered(&bytes)?,
            Channel::Large => self.large(&bytes)?,
            Channel::Datagram => drop(Up::decode(bytes)),
        }
        Some(())
    }

    fn ordered(&mut self, bytes: &[u8]) -> Option<()> {
        self.ordered.extend_from_slice(bytes);
        while let Some(frame) = take_frame(&mut self.ordered, MAX_ORDERED_FRAME).ok()? {
            let before = self.incoming.ordered.received();
            match decode::<OrderedMessage>(&frame).ok()?.message? {
                ordered_message::Message::Ordered(ordered) => drop(self.incoming.ordered.accept(ordered.number).ok()?),
                ordered_message::Message::Gap(gap) => drop(self.incoming.ordered.gap(gap.first, gap.last).ok()?),
            }
            assert!(self.incoming.ordered.received() >= before);
        }
        Some(())
    }

    fn large(&mut self, bytes: &[u8]) -> Option<()> {
        self.large.extend_from_slice(bytes);
        loop {
            let payload = self.large.split_to(self.missing.min(self.large.len()));
            self.missing -= payload.len();
            if self.missing > 0 {
                return Some(());
            }
            let Some(frame) = take_frame(&mut self.large, MAX_LARGE_HEADER).ok()? else {
                return Some(());
            };
            match decode::<LargeHeader>(&frame).ok()?.message? {
                large_header::Message::Large(large) => {
                    self.missing = usize::try_from(large.length).ok().filter(|length| *length <= MAX_LARGE)?;
                    self.incoming.large.accept(large.number).ok()?;
                }
                large_header::Message::Gap(gap) => drop(self.incoming.large.gap(gap.first, gap.last).ok()?),
            }
        }
    }
}

fuzz_target!(|data: &[u8]| {
    let mut input = Input::new(data);
    let mut session = Session::default();
    while !input.is_empty() {
        let length = usize::from(input.byte());
        if session.message(&Bytes::copy_from_slice(input.bytes(length))).is_none() {
            return;
        }
        let received = session.incoming.received();
        assert!(received.large_beyond.len() <= MAX_BEYOND && received.large_beyond.is_sorted());
    }
});
