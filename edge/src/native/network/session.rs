//! A model client's session: its lanes, its room, and what it makes of what it hears. It outlives its connections.

use super::judge::{Id, Life, Shared};
use super::wire::{Down, Up, Wire};
use atoll_proto::atoll::client_message::Message as ToEdge;
use atoll_proto::atoll::{
    ClientMessage, Gap, IslandChanged, Large, LargeHeader, MembersChanged, Ordered, OrderedMessage, Received,
    large_header, ordered_message,
};
use atoll_proto::datagram::{Alias, Kind, Sequence, Tag, Up as UpDatagram, decode_chunk};
use atoll_proto::framing::{put_frame, take_frame};
use atoll_proto::lanes::{
    Incoming, Item, LARGE_BOUNDS, LARGE_STREAM, MAX_LARGE_HEADER, MAX_ORDERED_FRAME, ORDERED_BOUNDS, ORDERED_STREAM,
    Outgoing, Verdict,
};
use atoll_proto::rfc4::{Packet, Position, packet};
use bytes::{Bytes, BytesMut};
use prost::Message as _;
use std::collections::BTreeMap;
use std::time::Duration;
use tokio::time::Instant;

/// The room a client was told of.
pub(super) struct Room {
    pub(super) tag: Tag,
    pub(super) own: u32,
    pub(super) members: BTreeMap<u32, String>,
    /// Of each alias the newest update.
    pub(super) updates: BTreeMap<u32, (Sequence, f32)>,
}

/// A message that waits for its acknowledgement.
struct Waiting {
    tag: Tag,
    payload: Bytes,
}

pub(super) struct Session {
    pub(super) life: Life,
    pub(super) token: String,
    /// The number of the connection that last carried it.
    pub(super) wire: u32,
    pub(super) room: Option<Room>,
    started: Instant,
    ordered: Outgoing<Waiting>,
    large: Outgoing<Waiting>,
    pub(super) incoming: Incoming,
    serials: [u32; 2],
    sequence: Sequence,
    judge: Shared,
}

/// What a connection has brought, as far as it is no whole message yet.
#[derive(Default)]
pub(super) struct Decoders {
    pub(super) control: BytesMut,
    ordered: BytesMut,
    large: BytesMut,
    header: Option<Large>,
    /// An ordered stream has been begun upstream.
    began: bool,
    /// What overtook the welcome.
    early: Vec<Down>,
}

impl Decoders {
    pub(super) fn keep(&mut self, early: Down) {
        self.early.push(early);
    }

    pub(super) fn take_early(&mut self) -> Vec<Down> {
        std::mem::take(&mut self.early)
    }
}

impl Session {
    pub(super) fn new(life: Life, token: String, wire: u32, judge: Shared) -> Self {
        Self {
            life,
            token,
            wire,
            room: None,
            started: Instant::now(),
            ordered: Outgoing::new(ORDERED_BOUNDS),
            large: Outgoing::new(LARGE_BOUNDS),
            incoming: Incoming::default(),
            serials: [0; 2],
            sequence: Sequence(life.1 as u16),
            judge,
        }
    }

    fn now(&self) -> Duration {
        self.started.elapsed()
    }

    /// Says something to the room, if there is one and the lane has a place.
    pub(super) fn push(&mut self, size: usize, whatever: bool) {
        let Some(tag) = self.room.as_ref().map(|room| room.tag) else { return };
        let (now, large) = (self.now(), size > atoll_proto::lanes::MAX_ORDERED);
        let lane = if large { &mut self.large } else { &mut self.ordered };
        if lane.is_full(now, size) && !whatever {
            return;
        }
        let serial = &mut self.serials[usize::from(large)];
        *serial += 1;
        let id = Id { life: self.life, large, serial: *serial };
        lane.push(now, size, Waiting { tag, payload: id.payload(size) });
        self.judge.note(&format!("{:?} says {id:?} of {size} bytes in {tag:?}", self.life));
        self.judge.account(self.life, |account| account.pushed.push((id, tag)));
    }

    pub(super) fn datagram(&mut self, kind: Kind, value: f32) -> Option<Bytes> {
        let tag = self.room.as_ref()?.tag;
        self.sequence = self.sequence.next();
        let position = Position { position_x: value, ..Position::default() };
        let payload = Packet { message: Some(packet::Message::Position(position)) };
        let payload = payload.encode_to_vec().into();
        let mut bytes = BytesMut::new();
        UpDatagram { kind, tag, sequence: self.sequence, payload }.encode(&mut bytes);
        Some(bytes.freeze())
    }

    /// Begins anew on another connection.
    pub(super) fn rewind(&mut self, edge: &Received) {
        let now = self.now();
        let ordered = self.ordered.rewind(now, edge.ordered, &[]);
        let large = self.large.rewind(now, edge.large, &edge.large_beyond);
        if let Err(error) = ordered.and(large) {
            self.judge.fail(format!("{:?} cannot resume: {error}", self.life));
        }
    }

    pub(super) fn acknowledged(&mut self, edge: &Received) {
        let ordered = self.ordered.acknowledge(edge.ordered, &[]);
        let large = self.large.acknowledge(edge.large, &edge.large_beyond);
        if let Err(error) = ordered.and(large) {
            self.judge.fail(format!("{:?} heard a false acknowledgement: {error}", self.life));
        }
    }

    /// Puts on the wire what may be sent.
    pub(super) fn flush(&mut self, now: Instant, wire: &mut Wire, decoders: &mut Decoders) {
        let time = self.now();
        let mut frames = BytesMut::new();
        while let Some(item) = self.ordered.next(time) {
            if wire.quic && !std::mem::replace(&mut decoders.began, true) {
                frames.extend_from_slice(&[ORDERED_STREAM]);
            }
            let message = match item {
                Item::Message { number, message: Waiting { tag, payload } } => {
                    let payload = payload.to_vec();
                    ordered_message::Message::Ordered(Ordered { tag: tag.0, number, sender: None, payload })
                }
                Item::Gap { first, last } => {
                    self.judge.account(self.life, |account| account.dropped[0] += last - first + 1);
                    ordered_message::Message::Gap(Gap { first, last })
                }
            };
            put_frame(&OrderedMessage { message: Some(message) }, &mut frames);
        }
        wire.send(now, Up::Ordered, frames.freeze());
        while let Some(item) = self.large.next(time) {
            let mut bytes = BytesMut::new();
            if wire.quic {
                bytes.extend_from_slice(&[LARGE_STREAM]);
            }
            let (header, payload) = match item {
                Item::Message { number, message: Waiting { tag, payload } } => {
                    let large = Large { tag: tag.0, number, sender: None, length: payload.len() as u32 };
                    (large_header::Message::Large(large), payload.clone())
                }
                Item::Gap { first, last } => {
                    self.judge.account(self.life, |account| account.dropped[1] += last - first + 1);
                    (large_header::Message::Gap(Gap { first, last }), Bytes::new())
                }
            };
            put_frame(&LargeHeader { message: Some(header) }, &mut bytes);
            bytes.extend_from_slice(&payload);
            wire.send(now, Up::Large, bytes.freeze());
        }
    }

    /// Whether everything it said has arrived.
    pub(super) fn is_settled(&self) -> bool {
        self.ordered.unacknowledged() == 0 && self.large.unacknowledged() == 0
    }

    pub(super) fn island(&mut self, changed: &IslandChanged) {
        let (tag, alias) = (Tag(changed.tag), Alias(changed.alias));
        self.judge.seated(self.life, tag, alias);
        let members = changed.members.iter().map(|member| (member.alias, member.name.clone())).collect();
        let former = self.room.take().filter(|room| room.tag == tag);
        if let Some(former) = &former
            && former.own != changed.alias
        {
            self.judge.note(&format!("{:?} has another seat in {tag:?}", self.life));
        }
        let updates = former.map(|room| room.updates).unwrap_or_default();
        self.room = Some(Room { tag, own: changed.alias, members, updates });
    }

    pub(super) fn members(&mut self, changed: MembersChanged) {
        let Some(room) = self.room.as_mut().filter(|room| room.tag.0 == changed.tag) else { return };
        room.members.extend(changed.joined.into_iter().map(|member| (member.alias, member.name)));
        for left in changed.left {
            if room.members.remove(&left).is_none() {
                self.judge.fail(format!("{:?} heard that {left} left, who was not there", self.life));
            }
        }
    }

    pub(super) fn chunk(&mut self, chunk: Bytes) {
        let (tag, entries) = decode_chunk(chunk).unwrap();
        let Some(room) = self.room.as_mut().filter(|room| room.tag == tag) else { return };
        for entry in entries {
            let entry = entry.unwrap();
            let newer = |(last, _): &(Sequence, f32)| entry.sequence.is_newer_than(*last);
            if entry.kind != Kind::Update || !room.updates.get(&entry.alias.0).is_none_or(newer) {
                continue;
            }
            let packet = Packet::decode(entry.payload).unwrap();
            let Some(packet::Message::Position(position)) = packet.message else { continue };
            room.updates.insert(entry.alias.0, (entry.sequence, position.position_x));
            self.judge.lock().tally.updates += 1;
        }
    }

    pub(super) fn ordered(&mut self, bytes: &Bytes, decoders: &mut Decoders) {
        decoders.ordered.extend_from_slice(bytes);
        while let Some(frame) = take_frame(&mut decoders.ordered, MAX_ORDERED_FRAME).unwrap() {
            let message: OrderedMessage = atoll_proto::decode(&frame).unwrap();
            match message.message.unwrap() {
                ordered_message::Message::Ordered(ordered) => match self.incoming.ordered.accept(ordered.number) {
                    Ok(Verdict::New) => self.hear(ordered.payload.into(), Tag(ordered.tag)),
                    Ok(Verdict::Duplicate) => {}
                    Err(error) => self.judge.fail(format!("{:?}: {error}", self.life)),
                },
                ordered_message::Message::Gap(gap) => match self.incoming.ordered.gap(gap.first, gap.last) {
                    Ok(lost) => self.lose(0, lost),
                    Err(error) => self.judge.fail(format!("{:?}: {error}", self.life)),
                },
            }
        }
    }

    pub(super) fn large(&mut self, bytes: &Bytes, decoders: &mut Decoders) {
        decoders.large.extend_from_slice(bytes);
        loop {
            if let Some(large) = &decoders.header {
                let length = large.length as usize;
                if decoders.large.len() < length {
                    return;
                }
                let payload = decoders.large.split_to(length).freeze();
                let (number, tag) = (large.number, Tag(large.tag));
                decoders.header = None;
                match self.incoming.large.accept(number) {
                    Ok(Verdict::New) => self.hear(payload, tag),
                    Ok(Verdict::Duplicate) => {}
                    Err(error) => self.judge.fail(format!("{:?}: {error}", self.life)),
                }
            }
            let Some(frame) = take_frame(&mut decoders.large, MAX_LARGE_HEADER).unwrap() else { return };
            let header: LargeHeader = atoll_proto::decode(&frame).unwrap();
            match header.message.unwrap() {
                large_header::Message::Large(large) => decoders.header = Some(large),
                large_header::Message::Gap(gap) => match self.incoming.large.gap(gap.first, gap.last) {
                    Ok(lost) => self.lose(1, lost),
                    Err(error) => self.judge.fail(format!("{:?}: {error}", self.life)),
                },
            }
        }
    }

    fn hear(&mut self, payload: Bytes, tag: Tag) {
        let id = Id::of(payload);
        self.judge.note(&format!("{:?} hears {id:?} in {tag:?}", self.life));
        self.judge.account(self.life, |account| account.heard.push(id));
        self.judge.lock().tally.heard += 1;
    }

    fn lose(&mut self, lane: usize, lost: impl IntoIterator<Item = (u64, u64)>) {
        for (first, last) in lost {
            let count = last - first + 1;
            self.judge.note(&format!("{:?} is told that {count} are lost", self.life));
            self.judge.account(self.life, |account| account.lost[lane] += count);
            self.judge.lock().tally.lost += count;
        }
    }

    /// Acknowledges what came, if it is time.
    pub(super) fn acknowledge(&mut self, now: Instant, wire: &mut Wire) {
        if let Some(received) = self.incoming.acknowledge() {
            say(now, wire, ToEdge::Received(received));
        }
    }
}

pub(super) fn say(now: Instant, wire: &mut Wire, message: ToEdge) {
    let mut frame = BytesMut::new();
    put_frame(&ClientMessage { message: Some(message) }, &mut frame);
    wire.send(now, Up::Control, frame.freeze());
}
