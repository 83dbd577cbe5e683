//! How a room reaches a client of this door.

use super::frames::{First, Rfc5};
use super::outgoing::{Batched, Outgoing};
use super::{Generation, MAX_RFC5_FRAME};
use crate::counters::RoomCounters;
use crate::ended::Ended;
use atoll_core::room::{Batch, CloseReason, Frame, Link, MemberList, Ordered, Pressure, Sender};
use atoll_proto::datagram::{Alias, Tag};
use atoll_proto::rfc5::ws_packet::Message;
use atoll_proto::rfc5::ws_welcome::PeerIdentitiesEntry;
use atoll_proto::rfc5::{WsKicked, WsPacket, WsPeerJoin, WsPeerLeave, WsWelcome};
use atoll_proto::room_frames::{Frames, put_identity_message, put_message, wire_alias};
use bytes::{Bytes, BytesMut};
use std::collections::BTreeSet;
use std::sync::Arc;

/// What a client is told that has to go for another session of its address.
pub(super) const KICKED: &str = "This address has connected from somewhere else.";

/// What a client is told whose seat was taken away.
const REMOVED: &str = "You were removed from this room.";

/// The link of one seat.
pub(super) struct RoomLink {
    generation: Generation,
    own: Option<Alias>,
    /// Servers that the client knows of: one may speak that is no member, and its clients pass over whom they were not told of.
    servers: BTreeSet<Alias>,
    outgoing: Arc<Outgoing>,
    counters: Arc<RoomCounters>,
}

impl RoomLink {
    pub(super) fn new(generation: Generation, outgoing: Arc<Outgoing>, counters: Arc<RoomCounters>) -> Self {
        Self { generation, own: None, servers: BTreeSet::new(), outgoing, counters }
    }

    /// Tells the client of a server that speaks, if it does not know of it.
    fn meet(&mut self, from: Alias, sender: Option<&Sender>) {
        let Some(sender @ Sender::Server(_)) = sender else { return };
        if !self.servers.insert(from) {
            return;
        }
        let mut out = BytesMut::new();
        match self.generation {
            Generation::Rfc5 => put_message(&packet(peer_join(from, sender)), &mut out),
            Generation::First => introduce(from, sender, &mut out),
        }
        self.outgoing.push(out.freeze());
    }

    fn members(&mut self, list: &MemberList) -> bool {
        let mut out = BytesMut::new();
        let (came, went) = match list {
            MemberList::Snapshot { members, .. } => (members, None),
            MemberList::Change { joined, left } => (joined, Some(left)),
        };
        self.servers.retain(|server| !went.is_some_and(|left| left.contains(server)));
        let servers = came.iter().filter(|(_, sender)| matches!(sender, Sender::Server(_)));
        self.servers.extend(servers.map(|(alias, _)| *alias));
        match (list, self.generation) {
            (MemberList::Snapshot { own, members }, generation) => {
                self.own = *own;
                let others = members.iter().filter(|(alias, _)| Some(*alias) != *own);
                match generation {
                    Generation::Rfc5 => put_message(&packet(welcome(*own, others)), &mut out),
                    Generation::First => others.for_each(|(alias, sender)| introduce(*alias, sender, &mut out)),
                }
            }
            (MemberList::Change { joined, left }, generation) => {
                self.outgoing.forget(left);
                let others = joined.iter().filter(|(alias, _)| Some(*alias) != self.own);
                match generation {
                    Generation::Rfc5 => {
                        // First who left: an address that took the place of its former self goes and comes, and kernels
                        // know their peers by address.
                        for alias in left.iter() {
                            let leave = WsPeerLeave { alias: wire_alias(*alias) };
                            put_message(&packet(Message::PeerLeaveMessage(leave)), &mut out);
                        }
                        for (alias, sender) in others {
                            put_message(&packet(peer_join(*alias, sender)), &mut out);
                        }
                    }
                    Generation::First => others.for_each(|(alias, sender)| introduce(*alias, sender, &mut out)),
                }
            }
        }
        out.is_empty() || self.outgoing.push(out.freeze())
    }

    fn batch(&self, batch: Arc<Batch>) {
        match self.generation {
            Generation::Rfc5 => self.outgoing.push_batch(Box::new(Later(batch)), self.own),
            Generation::First => {
                self.counters.untranslated.add(batch.encoded::<First>().untranslated);
                self.outgoing.push_batch(Box::new(Earlier(batch)), self.own);
            }
        }
    }

    fn ordered(&self, ordered: &Ordered) -> Pressure {
        let is_rfc5 = self.generation == Generation::Rfc5;
        if is_rfc5 && ordered.payload().is_some_and(|payload| payload.len() > MAX_RFC5_FRAME) {
            return Pressure::TooLarge;
        }
        let frame = match self.generation {
            Generation::Rfc5 => ordered.encoded::<Rfc5>(),
            Generation::First => ordered.encoded::<First>(),
        };
        match frame.clone() {
            Some(frame) => flowing(self.outgoing.push(frame)),
            None => {
                // Those of the older generation are counted where they come from.
                if !is_rfc5 {
                    self.counters.untranslated.add(1);
                }
                Pressure::Flowing
            }
        }
    }

    fn closed(&self, reason: CloseReason) {
        match reason {
            CloseReason::Reseated => self.outgoing.end(Ended::Reseated),
            CloseReason::Kicked => {
                if self.generation == Generation::Rfc5 {
                    self.outgoing.push(kicked(KICKED));
                }
                self.outgoing.end(Ended::Replaced);
            }
            CloseReason::Removed | CloseReason::Deleted => {
                if self.generation == Generation::Rfc5 {
                    self.outgoing.push(kicked(REMOVED));
                }
                self.outgoing.end(Ended::Removed);
            }
        }
    }
}

impl Link for RoomLink {
    fn push(&mut self, _: Tag, frame: Frame) -> Pressure {
        match frame {
            Frame::Members(list) => flowing(self.members(&list)),
            Frame::Batch(batch) | Frame::Voice(batch) => {
                if let Some(from) = batch.items().next().map(|item| item.from) {
                    self.meet(from, batch.sender(from));
                }
                self.batch(batch);
                Pressure::Flowing
            }
            Frame::Ordered(ordered) => {
                self.meet(ordered.from, Some(&ordered.sender));
                self.ordered(&ordered)
            }
            Frame::Refused { .. } => {
                self.counters.refused.add(1);
                Pressure::Flowing
            }
            // There are no words for it here; the region counts it.
            Frame::NotForAll { .. } => Pressure::Flowing,
            Frame::Closed(reason) => {
                self.closed(reason);
                Pressure::Gone
            }
        }
    }
}

fn flowing(goes_on: bool) -> Pressure {
    if goes_on { Pressure::Flowing } else { Pressure::Gone }
}

/// A frame that tells a client to go, and why.
pub(super) fn kicked(reason: &str) -> Bytes {
    let mut out = BytesMut::new();
    put_message(&packet(Message::PeerKicked(WsKicked { reason: reason.to_owned() })), &mut out);
    out.freeze()
}

pub(super) fn packet(message: Message) -> WsPacket {
    WsPacket { message: Some(message) }
}

fn peer_join(alias: Alias, sender: &Sender) -> Message {
    Message::PeerJoinMessage(WsPeerJoin { alias: wire_alias(alias), address: sender.to_string() })
}

fn welcome<'a>(own: Option<Alias>, others: impl Iterator<Item = &'a (Alias, Sender)>) -> Message {
    let identity =
        |(alias, sender): &(Alias, Sender)| PeerIdentitiesEntry { key: wire_alias(*alias), value: sender.to_string() };
    Message::WelcomeMessage(WsWelcome {
        alias: own.map_or(0, wire_alias),
        peer_identities: others.map(identity).collect(),
    })
}

/// Clients of the first generation learn who an alias is by a message of theirs, and drop what came before it. This one says
/// nothing but that.
fn introduce(alias: Alias, sender: &Sender, out: &mut BytesMut) {
    put_identity_message(alias, &sender.to_string(), &[], out);
}

struct Later(Arc<Batch>);

impl Batched for Later {
    fn frames(&self) -> &Frames {
        self.0.encoded::<Rfc5>()
    }
}

struct Earlier(Arc<Batch>);

impl Batched for Earlier {
    fn frames(&self) -> &Frames {
        &self.0.encoded::<First>().frames
    }
}
