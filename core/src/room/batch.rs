//! What a room says to many links.

use super::encoding::{Encoding, Encodings};
use super::payload::{Older, Payload};
use super::{Outgoing, Sender, WEBTRANSPORT_PREFIX};
use atoll_proto::datagram::{Alias, Entry, Kind, Sequence, Tag, encode_chunks};
use bytes::Bytes;
use std::sync::Arc;

/// The news of one tick of a room, one voice frame, or one packet for some; shared by all links that are given it.
#[derive(Debug)]
pub struct Batch {
    tag: Tag,
    /// Whose news they are, by alias.
    senders: Vec<(Alias, Sender)>,
    entries: Vec<Entry>,
    /// What few packets have beside an entry, in the order of `entries`.
    beside: Vec<Beside>,
    to: Option<Arc<[Alias]>>,
    encodings: Encodings,
}

/// What is to be said of a packet beside its entry, or instead of one.
#[derive(Debug)]
struct Beside {
    /// Which entry it belongs to, or comes before.
    at: usize,
    has_entry: bool,
    from: Alias,
    kind: Kind,
    older: Option<Bytes>,
    topic: Option<Arc<str>>,
}

/// One packet of a batch, for readers of any generation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Item<'a> {
    /// Whose it is.
    pub from: Alias,
    /// How it is delivered.
    pub kind: Kind,
    /// For readers of RFC-4; `None` when it can be said to older ones only.
    pub rfc4: Option<&'a Bytes>,
    /// What a client of 2022's summer said, if one did; `rfc4` is the translation then.
    pub older: Option<&'a Bytes>,
    /// What LiveKit's clients call the topic.
    pub topic: Option<&'a Arc<str>>,
}

/// The datagrams of `atoll/1`, each behind [`WEBTRANSPORT_PREFIX`]; raw QUIC sends what follows the prefix.
#[derive(Debug)]
pub enum WebTransport {}

impl Encoding<Batch> for WebTransport {
    type Output = Vec<Bytes>;

    fn encode(batch: &Batch) -> Vec<Bytes> {
        encode_chunks(&WEBTRANSPORT_PREFIX, batch.tag, &batch.entries)
    }
}

impl Batch {
    /// For news of these, each once.
    pub(super) fn new(tag: Tag, mut senders: Vec<(Alias, Sender)>) -> Self {
        senders.sort_unstable_by_key(|(alias, _)| *alias);
        let encodings = Encodings::default();
        Self { tag, senders, entries: Vec::new(), beside: Vec::new(), to: None, encodings }
    }

    /// Of one packet, for those whom it is for.
    pub(super) fn of_one(tag: Tag, sender: (Alias, Sender), kind: Kind, sequence: Sequence, said: Outgoing) -> Self {
        let from = sender.0;
        let mut batch = Self { to: said.to.clone(), ..Self::new(tag, vec![sender]) };
        batch.push(from, kind, sequence, said);
        batch
    }

    pub(super) fn push(&mut self, from: Alias, kind: Kind, sequence: Sequence, said: Outgoing) {
        let Outgoing { payload: Payload { rfc4, older }, topic, .. } = said;
        if older.is_some() || topic.is_some() {
            let (at, has_entry) = (self.entries.len(), rfc4.is_some());
            let older = older.map(|Older { data, .. }| data);
            self.beside.push(Beside { at, has_entry, from, kind, older, topic });
        }
        if let Some(payload) = rfc4 {
            self.entries.push(Entry { alias: from, kind, sequence, payload });
        }
    }

    /// The room's tag.
    pub fn tag(&self) -> Tag {
        self.tag
    }

    /// Every sender's news, in order of arrival of each sender's first. A receiver skips its own alias.
    pub fn entries(&self) -> &[Entry] {
        &self.entries
    }

    /// The same with all that is known of each, and with what only older clients understand.
    pub fn items(&self) -> impl Iterator<Item = Item<'_>> {
        let mut entries = self.entries.iter().enumerate().peekable();
        let mut beside = self.beside.iter().peekable();
        std::iter::from_fn(move || {
            let next = entries.peek().map_or(self.entries.len(), |(at, _)| *at);
            let Some(beside) = beside.next_if(|beside| beside.at == next) else {
                let (_, Entry { alias, kind, payload, .. }) = entries.next()?;
                return Some(Item { from: *alias, kind: *kind, rfc4: Some(payload), older: None, topic: None });
            };
            let entry = if beside.has_entry { entries.next() } else { None };
            let rfc4 = entry.map(|(_, entry)| &entry.payload);
            let Beside { from, kind, older, topic, .. } = beside;
            Some(Item { from: *from, kind: *kind, rfc4, older: older.as_ref(), topic: topic.as_ref() })
        })
    }

    /// How many packets there are, for readers of any generation.
    pub(super) fn len(&self) -> usize {
        self.entries.len() + self.beside.iter().filter(|beside| !beside.has_entry).count()
    }

    /// Whom it is for, if not for everybody. A link that stands for many has one of them behind it.
    pub fn to(&self) -> Option<&Arc<[Alias]>> {
        self.to.as_ref()
    }

    /// Who an alias in it is: also one that has left the room since, or that nobody was told of.
    pub fn sender(&self, alias: Alias) -> Option<&Sender> {
        let at = self.senders.binary_search_by_key(&alias, |(alias, _)| *alias).ok()?;
        self.senders.get(at).map(|(_, sender)| sender)
    }

    /// The batch in bytes, written once however many links ask.
    pub fn encoded<E: Encoding<Self>>(&self) -> &E::Output {
        self.encodings.of::<_, E>(self)
    }
}

/// A packet of which none may be lost, shared by all links.
#[derive(Debug)]
pub struct Ordered {
    /// Who sent it.
    pub from: Alias,
    /// The same in full: the alias may have been given up by the time a receiver has it.
    pub sender: Sender,
    said: Outgoing,
    encodings: Encodings,
}

impl Ordered {
    pub(super) fn new(from: Alias, sender: Sender, said: Outgoing) -> Self {
        Self { from, sender, said, encodings: Encodings::default() }
    }

    /// The comms packet, at most [`MAX_ORDERED_PAYLOAD`](super::MAX_ORDERED_PAYLOAD) bytes; `None` when only clients of
    /// 2022's summer have words for it.
    pub fn payload(&self) -> Option<&Bytes> {
        self.said.payload.rfc4()
    }

    /// What a client of 2022's summer said, if one did.
    pub fn older(&self) -> Option<&Older> {
        self.said.payload.older()
    }

    /// Whom it is for, as [`Batch::to`] says.
    pub fn to(&self) -> Option<&Arc<[Alias]>> {
        self.said.to.as_ref()
    }

    /// What LiveKit's clients call the topic.
    pub fn topic(&self) -> Option<&Arc<str>> {
        self.said.topic.as_ref()
    }

    /// It in bytes, written once however many links ask.
    pub fn encoded<E: Encoding<Self>>(&self) -> &E::Output {
        self.encodings.of::<_, E>(self)
    }
}
