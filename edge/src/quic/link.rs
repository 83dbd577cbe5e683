//! How a room reaches a native client.

use super::control::ControlWriter;
use super::counters::Counters;
use super::refusals::Refusals;
use super::transport::Transport;
use atoll_core::room::{Batch, CloseReason, Format, Frame, Link, MemberList, Pressure, SendError, Sender};
use atoll_proto::archipelago::IslandChangedMessage;
use atoll_proto::atoll::server_message::Message;
use atoll_proto::atoll::{ErrorCode, IslandChanged, Member, MembersChanged};
use atoll_proto::datagram::{Alias, Tag};
use bytes::Buf;
use quinn::SendDatagramError;
use std::sync::Arc;
use tokio::sync::Notify;

/// Datagrams of one connection that wait to be sent. The link skips a receiver that has some, so this only has to hold
/// one tick: here of 1,000 members with 120 bytes each. What goes beyond it is dropped and counted.
pub(super) const DATAGRAM_SEND_BUFFER: usize = 128 * 1024;

/// Unsent bytes at which a receiver is skipped. A receiver that is behind must not get late what it can get fresh: with
/// a full queue the data was seconds old, with skipping a quarter of a second (measured over a 50 kB/s path).
const BEHIND: usize = 3_000;

/// Most members in one message, so that it stays within the limit for control messages.
const MEMBERS_PER_MESSAGE: usize = 400;

/// The link of one seat of a native session.
pub(super) struct NativeLink {
    transport: Transport,
    control: ControlWriter,
    refusals: Arc<Refusals>,
    counters: Arc<Counters>,
    /// Tells the session that its client does not read, when the room has to let go of the link.
    clogged: Arc<Notify>,
    /// Told with the snapshot of members, so that the client hears of both as one.
    island: Option<IslandChangedMessage>,
}

impl NativeLink {
    pub(super) fn new(
        transport: Transport,
        control: ControlWriter,
        refusals: Arc<Refusals>,
        counters: Arc<Counters>,
        clogged: Arc<Notify>,
        island: IslandChangedMessage,
    ) -> Self {
        Self { transport, control, refusals, counters, clogged, island: Some(island) }
    }

    fn tell(&self, message: Message) -> Pressure {
        match self.control.send(message) {
            Ok(()) => Pressure::Flowing,
            Err(_) => {
                self.clogged.notify_one();
                Pressure::Gone
            }
        }
    }

    fn members(&mut self, tag: Tag, list: MemberList) -> Pressure {
        match list {
            MemberList::Snapshot { own, members } => self.snapshot(tag, own, &members),
            MemberList::Change { joined, left } => self.change(tag, &joined, &left),
        }
    }

    fn snapshot(&mut self, tag: Tag, own: Option<Alias>, members: &[(Alias, Sender)]) -> Pressure {
        let (first, rest) = members.split_at(members.len().min(MEMBERS_PER_MESSAGE));
        let island = self.island.take().map(|mut island| {
            island.peers.truncate(MEMBERS_PER_MESSAGE);
            island
        });
        let alias = own.map_or(0, |alias| alias.0);
        let told =
            self.tell(Message::IslandChanged(IslandChanged { island, tag: tag.0, alias, members: named(first) }));
        if told == Pressure::Gone {
            return told;
        }
        self.change(tag, rest, &[])
    }

    fn change(&self, tag: Tag, joined: &[(Alias, Sender)], left: &[Alias]) -> Pressure {
        let mut left = left.chunks(MEMBERS_PER_MESSAGE);
        let mut joined = joined.chunks(MEMBERS_PER_MESSAGE);
        loop {
            let (gone, come) = (left.next(), joined.next());
            if gone.is_none() && come.is_none() {
                return Pressure::Flowing;
            }
            let left = gone.unwrap_or_default().iter().map(|alias| alias.0).collect();
            let joined = named(come.unwrap_or_default());
            if self.tell(Message::MembersChanged(MembersChanged { tag: tag.0, joined, left })) == Pressure::Gone {
                return Pressure::Gone;
            }
        }
    }

    fn batch(&self, batch: &Batch) -> Pressure {
        let connection = self.transport.quic();
        if connection.close_reason().is_some() {
            return Pressure::Gone;
        }
        let unsent = DATAGRAM_SEND_BUFFER.saturating_sub(connection.datagram_send_buffer_space());
        if unsent > BEHIND {
            return Pressure::Behind;
        }
        let chunks = batch.encoded(Format::WebTransport);
        for (sent, chunk) in chunks.iter().enumerate() {
            // A full queue makes room by dropping the oldest: of this batch, and without a word.
            if connection.datagram_send_buffer_space() < chunk.len() {
                self.counters.chunks_behind.add((chunks.len() - sent) as u64);
                return Pressure::Behind;
            }
            let mut chunk = chunk.clone();
            chunk.advance(self.transport.surplus_prefix());
            match connection.send_datagram(chunk) {
                Ok(()) => {}
                // The path carries less for now; discovery or the next path may carry it again.
                Err(SendDatagramError::TooLarge) => self.counters.chunks_too_large.add(1),
                Err(_) => return Pressure::Gone,
            }
        }
        Pressure::Flowing
    }

    fn refused(&self, error: SendError) -> Pressure {
        match error {
            SendError::Stale => {}
            SendError::NoSeat => self.refusals.add(ErrorCode::NoSeat),
            SendError::TooFast => self.refusals.add(ErrorCode::TooFast),
            SendError::TooLarge(_) => self.refusals.add(ErrorCode::PayloadTooLarge),
            SendError::Unsupported => self.refusals.add(ErrorCode::Unsupported),
        }
        Pressure::Flowing
    }
}

impl Link for NativeLink {
    fn push(&mut self, tag: Tag, frame: Frame) -> Pressure {
        match frame {
            Frame::Members(list) => self.members(tag, list),
            Frame::Batch(batch) => self.batch(&batch),
            Frame::Refused { error, .. } => self.refused(error),
            // Rooms of this version send neither; a client could not read them.
            Frame::Ordered { .. } | Frame::Voice { .. } => Pressure::Flowing,
            // A kicked session hears of it from the region.
            Frame::Closed(CloseReason::Kicked | CloseReason::Reseated) => Pressure::Gone,
        }
    }
}

fn named(members: &[(Alias, Sender)]) -> Vec<Member> {
    members.iter().map(|(alias, sender)| Member { alias: alias.0, name: sender.to_string() }).collect()
}
