//! A client that keeps track of its island, what clients send each other, and waiting until they hear it.

use crate::within;
use atoll_client::{Client, Event, Island, Message, Packet, Room, SendError};
use atoll_proto::datagram::Sequence;
use atoll_proto::rfc4;
use bytes::Bytes;
use prost::Message as _;
use std::ops::Deref;
use std::time::Duration;

/// A room that was joined, as an island of its name.
fn as_island(Room { name, tag, alias, members }: &Room) -> Island {
    let (id, members) = (name.clone(), members.clone());
    Island { id, from: None, tag: *tag, alias: *alias, members, peers: Vec::new(), foreign_transport: None }
}

/// A client that follows the news of its island.
pub struct Peer {
    client: Client,
    island: Option<Island>,
}

impl Deref for Peer {
    type Target = Client;

    fn deref(&self) -> &Client {
        &self.client
    }
}

impl Peer {
    /// A peer that sits nowhere yet.
    pub fn new(client: Client) -> Self {
        Self { client, island: None }
    }

    /// The client alone.
    pub fn into_client(self) -> Client {
        self.client
    }

    /// The island it sits in, with the members of its room as of the last event.
    pub fn island(&self) -> &Island {
        self.island.as_ref().expect("the peer sits in an island")
    }

    /// The next event, followed.
    pub async fn next_event(&mut self) -> Event {
        let event = self.client.next_event().await;
        match &event {
            Event::IslandChanged(island) => self.island = Some(island.clone()),
            Event::RoomJoined(room) => self.island = Some(as_island(room)),
            Event::MembersChanged { joined, left } => {
                let island = self.island.as_mut().expect("members change in a room");
                island.members.retain(|member| !left.contains(member));
                island.members.extend(joined.iter().cloned());
            }
            _ => {}
        }
        event
    }

    /// The next event that is not the end.
    async fn expect_event(&mut self) -> Event {
        match self.next_event().await {
            Event::Closed(why) => panic!("the session ended: {why}"),
            event => event,
        }
    }

    /// Waits until it sits in an island with exactly `members` members.
    pub async fn seated(&mut self, members: usize) -> Island {
        within("a seat in an island of that size", async {
            while self.island.as_ref().is_none_or(|island| island.members.len() != members) {
                self.expect_event().await;
            }
        })
        .await;
        self.island().clone()
    }

    /// Waits until it sits in another island than `old`.
    pub async fn moved_from(&mut self, old: &Island) -> Island {
        within("another island", async {
            while self.island.as_ref().is_none_or(|island| island.id == old.id) {
                self.expect_event().await;
            }
        })
        .await;
        self.island().clone()
    }

    /// The next ordered or large message.
    pub async fn message(&mut self) -> Message {
        within("an ordered or large message", async {
            loop {
                match self.expect_event().await {
                    Event::Ordered(message) | Event::Large(message) => return message,
                    _ => {}
                }
            }
        })
        .await
    }

    /// The first packet that satisfies `wanted`, while `send` is tried ten times a second: datagrams may be lost.
    pub async fn hears(
        &mut self,
        mut wanted: impl FnMut(&Packet) -> bool,
        mut send: impl FnMut() -> Result<Sequence, SendError>,
    ) -> Packet {
        within("hearing a packet", async {
            let mut again = tokio::time::interval(Duration::from_millis(100));
            loop {
                tokio::select! {
                    _ = again.tick() => {
                        send().expect("a seat to send from");
                    }
                    event = self.expect_event() => match event {
                        Event::Packet(packet) if wanted(&packet) => return packet,
                        _ => {}
                    }
                }
            }
        })
        .await
    }
}

/// An rfc4 position packet.
pub fn position(x: f32, z: f32, index: u32) -> Bytes {
    let position = rfc4::Position { index, position_x: x, position_z: z, rotation_w: 1.0, ..Default::default() };
    let message = Some(rfc4::packet::Message::Position(position));
    rfc4::Packet { message }.encode_to_vec().into()
}

/// An rfc4 chat packet.
pub fn chat(text: &str) -> Bytes {
    let message = Some(rfc4::packet::Message::Chat(rfc4::Chat { message: text.to_owned(), timestamp: 1.0 }));
    rfc4::Packet { message }.encode_to_vec().into()
}
