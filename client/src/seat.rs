//! A client's seat in a room: who the others are, and which of their packets are news. No I/O.

use crate::event::{Island, Member, Packet};
use crate::stats::Stats;
use atoll_proto::atoll::{self, IslandChanged, MembersChanged};
use atoll_proto::datagram::{Alias, Entry, Kind, Sequence, Tag, decode_chunk};
use atoll_proto::{PacketKind, peek};
use bytes::Bytes;
use std::collections::HashMap;
use std::sync::Arc;

/// Most members a client keeps for one room. An edge that tells of more is not to be trusted with this memory.
const MAX_MEMBERS: usize = 65_536;

/// A seat in one incarnation of a room.
#[derive(Debug)]
pub(crate) struct Seat {
    tag: Tag,
    alias: Alias,
    others: HashMap<Alias, Other>,
}

/// Another member, and the last Update of each kind it sent.
#[derive(Debug)]
struct Other {
    name: Arc<str>,
    /// At most one entry for each of the four kinds that are updates.
    latest: Vec<(PacketKind, Sequence)>,
}

/// Who took and who left seats.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Changes {
    pub(crate) joined: Vec<Member>,
    pub(crate) left: Vec<Member>,
}

/// A room of more members than a client keeps.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("a room of more than {MAX_MEMBERS} members")]
pub(crate) struct TooManyMembers;

impl Seat {
    /// Takes the seat that the edge announces.
    pub(crate) fn new(changed: IslandChanged) -> Result<(Self, Island), TooManyMembers> {
        let mut seat = Self { tag: Tag(changed.tag), alias: Alias(changed.alias), others: HashMap::new() };
        let members = seat.add(changed.members)?;
        let island = changed.island.unwrap_or_default();
        let peers = island.peers.into_iter().filter_map(|peer| Some((peer.key, peer.value?)));
        let island = Island {
            id: island.island_id,
            from: island.from_island_id,
            tag: seat.tag,
            alias: seat.alias,
            members,
            peers: peers.collect(),
            foreign_transport: changed.foreign_transport.map(|foreign| foreign.connection_string),
        };
        Ok((seat, island))
    }

    /// Whether the edge announces this very seat again, after a change of the connection.
    pub(crate) fn is_in(&self, changed: &IslandChanged) -> bool {
        self.tag == Tag(changed.tag) && self.alias == Alias(changed.alias)
    }

    /// Who joined and who left while there was no connection. Who stayed is remembered with its last Updates.
    pub(crate) fn refresh(&mut self, members: Vec<atoll::Member>) -> Result<Changes, TooManyMembers> {
        let present: HashMap<_, _> = members.iter().map(|member| (Alias(member.alias), member.name.as_str())).collect();
        let mut left = Vec::new();
        self.others.retain(|alias, other| {
            let stays = present.get(alias) == Some(&&*other.name);
            if !stays {
                left.push(Member { alias: *alias, name: other.name.clone() });
            }
            stays
        });
        let new = |member: &atoll::Member| {
            Alias(member.alias) != self.alias && !self.others.contains_key(&Alias(member.alias))
        };
        let new = members.into_iter().filter(new).collect();
        Ok(Changes { joined: self.add(new)?, left })
    }

    /// The tag that every datagram of this room carries.
    pub(crate) fn tag(&self) -> Tag {
        self.tag
    }

    /// Who joined and who left; `None` when the news are of another room.
    pub(crate) fn members_changed(&mut self, changed: MembersChanged) -> Result<Option<Changes>, TooManyMembers> {
        if Tag(changed.tag) != self.tag {
            return Ok(None);
        }
        // Aliases that are free again may be in `joined` too, for somebody else.
        let left = changed.left.into_iter().filter_map(|alias| {
            let alias = Alias(alias);
            self.others.remove(&alias).map(|other| Member { alias, name: other.name })
        });
        let left = left.collect();
        Ok(Some(Changes { joined: self.add(changed.joined)?, left }))
    }

    /// Hands the packets of one datagram that are news to `take`, and counts the others.
    pub(crate) fn receive(&mut self, datagram: Bytes, stats: &mut Stats, mut take: impl FnMut(Packet)) {
        let Ok((tag, entries)) = decode_chunk(datagram) else {
            stats.malformed += 1;
            return;
        };
        if tag != self.tag {
            stats.unknown_tag += 1;
            return;
        }
        for entry in entries {
            let Ok(entry) = entry else {
                stats.malformed += 1;
                return;
            };
            if entry.alias == self.alias {
                stats.own += 1;
                continue;
            }
            if !self.is_news(&entry) {
                stats.stale += 1;
                continue;
            }
            stats.received += 1;
            take(Packet {
                alias: entry.alias,
                name: self.others.get(&entry.alias).map(|other| other.name.clone()),
                kind: entry.kind,
                sequence: entry.sequence,
                payload: entry.payload,
            });
        }
    }

    /// Whether an entry is to be told; remembers it when it is an Update.
    ///
    /// A sender that is not known yet is believed: there is no former Update to compare with.
    fn is_news(&mut self, entry: &Entry) -> bool {
        if entry.kind != Kind::Update {
            return true;
        }
        let kind = peek(&entry.payload).kind;
        let Some(other) = self.others.get_mut(&entry.alias).filter(|_| kind.is_update()) else {
            return true;
        };
        let Some((_, last)) = other.latest.iter_mut().find(|(known, _)| *known == kind) else {
            other.latest.push((kind, entry.sequence));
            return true;
        };
        if !entry.sequence.is_newer_than(*last) {
            return false;
        }
        *last = entry.sequence;
        true
    }

    fn add(&mut self, members: Vec<atoll::Member>) -> Result<Vec<Member>, TooManyMembers> {
        let members: Vec<_> =
            members.into_iter().map(|member| Member { alias: Alias(member.alias), name: member.name.into() }).collect();
        for member in &members {
            if member.alias == self.alias {
                continue;
            }
            if self.others.len() >= MAX_MEMBERS {
                return Err(TooManyMembers);
            }
            self.others.insert(member.alias, Other { name: member.name.clone(), latest: Vec::new() });
        }
        Ok(members)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use atoll_proto::datagram::encode_chunks;

    const TAG: Tag = Tag(7);
    const OWN: u32 = 1;
    const NEIGHBOUR: u32 = 2;
    /// rfc4 packets: a position and a movement with nothing set, and a line of chat.
    const POSITION: &[u8] = &[0x0a, 0];
    const MOVEMENT: &[u8] = &[0x42, 0];
    const CHAT: &[u8] = &[0x2a, 0];

    fn member(alias: u32) -> atoll::Member {
        atoll::Member { alias, name: format!("0x{alias:040}") }
    }

    fn seat() -> Seat {
        let changed = IslandChanged {
            tag: TAG.0,
            alias: OWN,
            members: vec![member(OWN), member(NEIGHBOUR)],
            ..IslandChanged::default()
        };
        let (seat, island) = Seat::new(changed).unwrap();
        assert_eq!((island.alias, island.members.len()), (Alias(OWN), 2));
        seat
    }

    fn entry(alias: u32, kind: Kind, sequence: u16, payload: &'static [u8]) -> Entry {
        let payload = Bytes::from_static(payload);
        Entry { alias: Alias(alias), kind, sequence: Sequence(sequence), payload }
    }

    /// The sequences a seat accepts from a datagram of these entries.
    fn accepted(seat: &mut Seat, stats: &mut Stats, tag: Tag, entries: &[Entry]) -> Vec<u16> {
        let mut sequences = Vec::new();
        for chunk in encode_chunks(&[], tag, entries) {
            seat.receive(chunk, stats, |packet| sequences.push(packet.sequence.0));
        }
        sequences
    }

    #[test]
    fn only_newer_updates_of_the_same_kind_are_told() {
        let (mut seat, mut stats) = (seat(), Stats::default());
        let sent = [(65_534, POSITION), (1, POSITION), (65_535, POSITION), (1, POSITION), (0, MOVEMENT), (2, POSITION)];
        let entries = sent.map(|(sequence, payload)| entry(NEIGHBOUR, Kind::Update, sequence, payload));
        let told = accepted(&mut seat, &mut stats, TAG, &entries);
        assert_eq!(told, [65_534, 1, 0, 2]);
        assert_eq!((stats.received, stats.stale), (4, 2));
    }

    #[test]
    fn events_and_updates_of_other_packets_are_all_told() {
        let (mut seat, mut stats) = (seat(), Stats::default());
        let entries = [
            entry(NEIGHBOUR, Kind::Event, 5, POSITION),
            entry(NEIGHBOUR, Kind::Event, 4, POSITION),
            entry(NEIGHBOUR, Kind::Update, 3, CHAT),
            entry(NEIGHBOUR, Kind::Update, 2, CHAT),
        ];
        assert_eq!(accepted(&mut seat, &mut stats, TAG, &entries), [5, 4, 3, 2]);
    }

    #[test]
    fn own_packets_and_other_rooms_are_dropped() {
        let (mut seat, mut stats) = (seat(), Stats::default());
        let entries = [entry(OWN, Kind::Event, 1, CHAT), entry(NEIGHBOUR, Kind::Event, 2, CHAT)];
        assert_eq!(accepted(&mut seat, &mut stats, TAG, &entries), [2]);
        assert!(accepted(&mut seat, &mut stats, Tag(8), &entries).is_empty());
        assert_eq!((stats.own, stats.unknown_tag, stats.received), (1, 1, 1));
    }

    #[test]
    fn what_stands_before_a_fault_is_told() {
        let (mut seat, mut stats) = (seat(), Stats::default());
        let chunk = &encode_chunks(&[], TAG, &[entry(NEIGHBOUR, Kind::Event, 9, CHAT)])[0];
        let mut broken = chunk.to_vec();
        broken.extend_from_slice(&[2, 9]);
        let mut told = 0;
        seat.receive(broken.into(), &mut stats, |_| told += 1);
        seat.receive(Bytes::from_static(&[0, 0]), &mut stats, |_| told += 1);
        assert_eq!((told, stats.malformed), (1, 2));
    }

    #[test]
    fn an_alias_starts_afresh_with_its_next_owner() {
        let (mut seat, mut stats) = (seat(), Stats::default());
        let update = |sequence| [entry(NEIGHBOUR, Kind::Update, sequence, POSITION)];
        assert_eq!(accepted(&mut seat, &mut stats, TAG, &update(500)), [500]);
        let changed = MembersChanged { tag: TAG.0, joined: vec![member(NEIGHBOUR)], left: vec![NEIGHBOUR] };
        let Changes { joined, left } = seat.members_changed(changed).unwrap().unwrap();
        assert_eq!((joined.len(), left.len()), (1, 1));
        assert_eq!(accepted(&mut seat, &mut stats, TAG, &update(3)), [3]);
        let elsewhere = MembersChanged { tag: 8, ..MembersChanged::default() };
        assert_eq!(seat.members_changed(elsewhere), Ok(None));
    }

    #[test]
    fn a_seat_that_is_announced_again_tells_what_was_missed() {
        let (mut seat, mut stats) = (seat(), Stats::default());
        let update = |sequence| [entry(NEIGHBOUR, Kind::Update, sequence, POSITION)];
        assert_eq!(accepted(&mut seat, &mut stats, TAG, &update(500)), [500]);
        let again = IslandChanged { tag: TAG.0, alias: OWN, ..IslandChanged::default() };
        assert!(seat.is_in(&again) && !seat.is_in(&IslandChanged { tag: 8, ..again.clone() }));

        let Changes { joined, left } = seat.refresh(vec![member(OWN), member(NEIGHBOUR), member(3)]).unwrap();
        assert_eq!((joined.iter().map(|member| member.alias).collect::<Vec<_>>(), left), (vec![Alias(3)], vec![]));
        assert!(accepted(&mut seat, &mut stats, TAG, &update(3)).is_empty(), "older than the last");

        let other = atoll::Member { alias: NEIGHBOUR, name: "0xcc".to_owned() };
        let Changes { joined, left } = seat.refresh(vec![member(OWN), other]).unwrap();
        assert_eq!((joined.len(), left.len()), (1, 2));
        assert_eq!(accepted(&mut seat, &mut stats, TAG, &update(3)), [3], "another sender");
    }

    #[test]
    fn a_sender_that_is_not_known_yet_is_heard() {
        let (mut seat, mut stats) = (seat(), Stats::default());
        let chunk = encode_chunks(&[], TAG, &[entry(99, Kind::Update, 1, POSITION)]).remove(0);
        let mut names = Vec::new();
        seat.receive(chunk, &mut stats, |packet| names.push(packet.name));
        assert_eq!(names, [None]);
    }
}
