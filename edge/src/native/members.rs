//! Members and islands as control messages, each within the limit however much there is to say.

use atoll_core::room::Sender;
use atoll_proto::archipelago::IslandChangedMessage;
use atoll_proto::atoll::server_message::Message;
use atoll_proto::atoll::{ForeignTransport, IslandChanged, Member, MembersChanged};
use atoll_proto::datagram::{Alias, Tag};

/// Bytes of members in one message; as many again may be an island's peers, together below the limit of 64 KiB.
const MEMBERS: usize = 24 * 1024;

/// Most peers told with an island: what an island holds. Who stands where is news of a moment anyway.
const MAX_PEERS: usize = 400;

/// Most bytes of peers told with an island.
const PEERS: usize = 24 * 1024;

/// Longest name of an island or a peer, in bytes. A foreign archipelago may make longer ones.
const MAX_NAME: usize = 256;

/// What begins the connection strings that this edge writes for native clients.
const OWN_SCHEME: &str = "quic:";

/// Longest connection string, in bytes.
const MAX_CONNECTION_STRING: usize = 4096;

/// What a member takes in a message beside its name: two tags, two lengths, an alias of five bytes and its tag.
const MEMBER_OVERHEAD: usize = 16;

/// What a peer takes beside its name, likewise: its position.
const PEER_OVERHEAD: usize = 32;

/// Bytes of an alias in a list, at most.
const ALIAS: usize = 5;

/// Makes an island announcement fit for a client, or gives none when its names are no names.
pub(super) fn checked(mut island: IslandChangedMessage) -> Option<IslandChangedMessage> {
    let former = island.from_island_id.as_ref().map_or(0, String::len);
    if island.island_id.len().max(former) > MAX_NAME || island.conn_str.len() > MAX_CONNECTION_STRING {
        return None;
    }
    let mut bytes = 0;
    island.peers.retain(|peer| {
        let size = peer.key.len() + PEER_OVERHEAD;
        let fits = peer.key.len() <= MAX_NAME && bytes + size <= PEERS;
        bytes += if fits { size } else { 0 };
        fits
    });
    island.peers.truncate(MAX_PEERS);
    Some(island)
}

/// What a snapshot of members is told with, once.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Place {
    /// The island whose room it is.
    Island(IslandChangedMessage),
    /// The name of a room that the client has joined.
    Room(String),
}

/// `island_changed` with as many members as fit, then `members_changed` with the others.
pub(super) fn snapshot(
    tag: Tag,
    own: Option<Alias>,
    place: Option<Place>,
    members: &[(Alias, Sender)],
) -> Vec<Message> {
    let mut named = named(members);
    let first = take_members(&mut named);
    let alias = own.map_or(0, |alias| alias.0);
    let (mut island, room) = match place {
        Some(Place::Island(island)) => (Some(island), String::new()),
        Some(Place::Room(room)) => (None, room),
        None => (None, String::new()),
    };
    let foreign_transport = island.as_mut().and_then(foreign);
    let changed = IslandChanged { island, tag: tag.0, alias, members: first, foreign_transport, room };
    let mut messages = vec![Message::IslandChanged(changed)];
    messages.extend(changes(tag, named, &[]));
    messages
}

/// Takes out a connection string that a foreign archipelago wrote. What it leads to is for those who speak it.
fn foreign(island: &mut IslandChangedMessage) -> Option<ForeignTransport> {
    let connection_string = &mut island.conn_str;
    let is_foreign = !connection_string.is_empty() && !connection_string.starts_with(OWN_SCHEME);
    is_foreign.then(|| ForeignTransport { connection_string: std::mem::take(connection_string) })
}

/// `members_changed`, as many as it takes.
pub(super) fn change(tag: Tag, joined: &[(Alias, Sender)], left: &[Alias]) -> Vec<Message> {
    changes(tag, named(joined), left)
}

fn changes(tag: Tag, mut joined: Vec<Member>, left: &[Alias]) -> Vec<Message> {
    let mut messages = Vec::new();
    let mut left = left.chunks(MEMBERS / ALIAS);
    loop {
        let gone: Vec<u32> = left.next().unwrap_or_default().iter().map(|alias| alias.0).collect();
        let come = take_members(&mut joined);
        if gone.is_empty() && come.is_empty() {
            return messages;
        }
        messages.push(Message::MembersChanged(MembersChanged { tag: tag.0, joined: come, left: gone }));
    }
}

/// Takes as many off the front as fit one message.
fn take_members(members: &mut Vec<Member>) -> Vec<Member> {
    let mut bytes = 0;
    let fits = members.iter().position(|member| {
        bytes += member.name.len() + MEMBER_OVERHEAD;
        bytes > MEMBERS
    });
    let rest = members.split_off(fits.unwrap_or(members.len()));
    std::mem::replace(members, rest)
}

/// A server whose name is too long for clients is left out, as if it could not be seen.
fn named(members: &[(Alias, Sender)]) -> Vec<Member> {
    let named = members.iter().map(|(alias, sender)| Member { alias: alias.0, name: sender.to_string() });
    named.filter(|member| member.name.len() <= MAX_NAME).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use atoll_proto::Address;
    use atoll_proto::atoll::ServerMessage;
    use atoll_proto::framing::MAX_MESSAGE;
    use prost::Message as _;

    #[test]
    fn a_foreign_connection_string_is_told_as_what_it_is() {
        let told = |conn_str: &str| {
            let island = IslandChangedMessage { conn_str: conn_str.to_owned(), ..Default::default() };
            let messages = snapshot(Tag(1), None, Some(Place::Island(island)), &[]);
            let [Message::IslandChanged(changed)] = messages.as_slice() else { panic!("{messages:?}") };
            let foreign = changed.foreign_transport.as_ref().map(|foreign| foreign.connection_string.clone());
            (changed.island.as_ref().unwrap().conn_str.clone(), foreign)
        };
        assert_eq!(told("quic:I1"), ("quic:I1".to_owned(), None));
        assert_eq!(told(""), (String::new(), None));
        let foreign = "livekit:wss://livekit.example?access_token=x";
        assert_eq!(told(foreign), (String::new(), Some(foreign.to_owned())));
    }

    fn fits(message: Message) -> bool {
        ServerMessage { message: Some(message) }.encoded_len() <= MAX_MESSAGE
    }

    fn crowd(count: u32) -> Vec<(Alias, Sender)> {
        let mut bytes = [0; 20];
        (0..count)
            .map(|alias| {
                bytes[..4].copy_from_slice(&alias.to_be_bytes());
                (Alias(u32::MAX - alias), Sender::Peer(Address(bytes)))
            })
            .collect()
    }

    fn members_of(messages: &[Message]) -> Vec<Member> {
        let members = |message: &Message| match message {
            Message::IslandChanged(island) => island.members.clone(),
            Message::MembersChanged(change) => change.joined.clone(),
            other => panic!("{other:?}"),
        };
        messages.iter().flat_map(members).collect()
    }

    #[test]
    fn a_crowd_comes_in_several_messages_of_which_each_fits() {
        let crowd = crowd(5_000);
        let messages = snapshot(Tag(1), Some(Alias(7)), None, &crowd);
        assert!(messages.len() > 5);
        assert_eq!(members_of(&messages), named(&crowd));
        assert!(messages.into_iter().all(fits));
    }

    #[test]
    fn who_left_and_who_came_are_all_told() {
        let left: Vec<Alias> = (0..20_000).map(|alias| Alias(u32::MAX - alias)).collect();
        let messages = change(Tag(1), &crowd(700), &left);
        assert_eq!(members_of(&messages).len(), 700);
        let told = messages.iter().map(|message| match message {
            Message::MembersChanged(change) => change.left.len(),
            other => panic!("{other:?}"),
        });
        assert_eq!(told.sum::<usize>(), left.len());
        assert!(messages.into_iter().all(fits));
    }

    #[test]
    fn a_foreign_archipelago_cannot_make_a_message_too_large() {
        let peer = |key: String| atoll_proto::archipelago::island_changed_message::PeersEntry {
            key,
            value: Some(atoll_proto::archipelago::Position::default()),
        };
        let mut island = IslandChangedMessage { island_id: "i".repeat(MAX_NAME), ..Default::default() };
        island.peers = (0..10_000).map(|n| peer(format!("{n:0>200}"))).collect();
        island.peers.push(peer("x".repeat(MAX_NAME + 1)));
        let island = checked(island).unwrap();
        assert!(!island.peers.is_empty());
        let longest = crowd(3_000).into_iter().map(|(alias, _)| (alias, Sender::Server("s".repeat(240).into())));
        let messages = snapshot(Tag(1), None, Some(Place::Island(island)), &longest.collect::<Vec<_>>());
        assert!(messages.into_iter().all(fits));
        let long = IslandChangedMessage { island_id: "i".repeat(MAX_NAME + 1), ..Default::default() };
        assert!(checked(long).is_none());
    }
}
