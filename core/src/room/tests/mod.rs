//! Rooms under a link that writes everything down, and objects to what no link should hear.

mod addressed;
mod at_once;
mod broadcast;
mod generations;
mod governed;
mod hidden;
mod limits;
mod membership;
mod properties;
mod reseat;

use super::*;
use atoll_proto::datagram::{Entry, Tag};
use atoll_proto::rfc4;
use bytes::Bytes;
use prost::Message;
use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard};
use std::time::Duration;

const NOW: Duration = Duration::from_secs(1000);

/// What a link heard, and how it answers.
#[derive(Default)]
struct Heard {
    members: BTreeMap<Alias, Sender>,
    own: Option<Alias>,
    lists: usize,
    batches: Vec<Arc<Batch>>,
    ordered: Vec<(Alias, Bytes)>,
    voice: Vec<Arc<Batch>>,
    refused: Vec<SendError>,
    not_for_all: Vec<usize>,
    closed: Option<CloseReason>,
    answer: Option<Pressure>,
}

impl Heard {
    /// Everything of others in batches, in order.
    fn entries(&self) -> Vec<Entry> {
        let all = self.batches.iter().flat_map(|batch| batch.entries().iter().cloned());
        all.filter(|entry| Some(entry.alias) != self.own).collect()
    }

    fn payloads(&self) -> Vec<Bytes> {
        self.entries().into_iter().map(|entry| entry.payload).collect()
    }

    fn ordered_payloads(&self) -> Vec<Bytes> {
        self.ordered.iter().map(|(_, payload)| payload.clone()).collect()
    }

    /// How many ordered packets and voice frames it heard.
    fn heard_at_once(&self) -> (usize, usize) {
        (self.ordered.len(), self.voice.len())
    }

    fn take(&mut self, frame: Frame, flowing: bool) {
        assert_eq!(self.closed, None, "nothing follows a close");
        match frame {
            Frame::Members(MemberList::Snapshot { own, members }) => {
                assert_eq!(self.lists, 0, "one snapshot, before everything else");
                self.own = own;
                self.members = members.iter().cloned().collect();
                self.lists += 1;
            }
            Frame::Members(MemberList::Change { joined, left }) => {
                assert!(self.lists > 0, "a change before the snapshot");
                for (alias, sender) in joined.iter() {
                    assert!(self.members.insert(*alias, sender.clone()).is_none(), "{alias:?} joined twice");
                }
                for alias in left.iter() {
                    assert!(self.members.remove(alias).is_some(), "{alias:?} was never here");
                }
                self.lists += 1;
            }
            Frame::Ordered(ordered) => {
                let from = ordered.from;
                assert_eq!(self.members.get(&from), Some(&ordered.sender), "a sender it was told of");
                assert_ne!(self.own, Some(from), "nobody hears what is his own");
                self.ordered.extend(ordered.payload().map(|payload| (from, payload.clone())));
            }
            Frame::Voice(batch) => {
                assert_eq!(batch.entries().len(), 1);
                let from = batch.entries()[0].alias;
                assert!(self.members.contains_key(&from) && self.own != Some(from));
                if flowing {
                    self.voice.push(batch);
                }
            }
            Frame::Batch(batch) if flowing => self.batches.push(batch),
            Frame::Batch(_) => {}
            Frame::Refused { error, .. } => self.refused.push(error),
            Frame::NotForAll { links, .. } => self.not_for_all.push(links),
            Frame::Closed(reason) => self.closed = Some(reason),
        }
    }
}

#[derive(Clone, Default)]
struct Ear(Arc<Mutex<Heard>>);

impl Ear {
    fn heard(&self) -> MutexGuard<'_, Heard> {
        self.0.lock().unwrap()
    }
}

impl Link for Ear {
    fn push(&mut self, _tag: Tag, frame: Frame) -> Pressure {
        let mut heard = self.heard();
        let answer = heard.answer.unwrap_or(Pressure::Flowing);
        heard.take(frame, answer == Pressure::Flowing);
        answer
    }
}

fn room_of(max_members: usize) -> Room {
    Room::new(RoomId::new("I1"), Tag(7), Settings { max_members, tick: None })
}

fn room() -> Room {
    room_of(100)
}

fn peer(number: u8) -> Sender {
    Sender::Peer(Address([number; 20]))
}

fn newcomer(number: u8, session: u64) -> Newcomer {
    Newcomer { sender: peer(number), session: Some(SessionId(session)), hidden: false }
}

/// Seats peer `number` with the session of that number.
fn join(room: &mut Room, number: u8) -> (Joined, Ear) {
    join_as(room, number, number.into()).unwrap()
}

fn join_as(room: &mut Room, number: u8, session: u64) -> Result<(Joined, Ear), JoinError> {
    let ear = Ear::default();
    let joined = room.join(newcomer(number, session), Box::new(ear.clone()))?;
    Ok((joined, ear))
}

fn position(x: f32) -> Bytes {
    let position = rfc4::Position { position_x: x, ..Default::default() };
    rfc4::Packet { message: Some(rfc4::packet::Message::Position(position)) }.encode_to_vec().into()
}

fn text(text: &'static str) -> Bytes {
    Bytes::from_static(text.as_bytes())
}

fn packet(from: Alias, delivery: Delivery, sequence: impl Into<Option<u16>>, payload: Bytes) -> Packet {
    Packet { from, delivery, sequence: sequence.into().map(Sequence), said: payload.into() }
}

fn send_at(
    now: Duration,
    room: &mut Room,
    from: Joined,
    delivery: Delivery,
    sequence: impl Into<Option<u16>>,
    payload: Bytes,
) -> Result<Report, SendError> {
    room.send(now, from.link, packet(from.alias, delivery, sequence, payload))
}

fn send(
    room: &mut Room,
    from: Joined,
    delivery: Delivery,
    sequence: impl Into<Option<u16>>,
    payload: Bytes,
) -> Result<Report, SendError> {
    send_at(NOW, room, from, delivery, sequence, payload)
}
