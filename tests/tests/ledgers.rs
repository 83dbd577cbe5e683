//! Who says what to whom in one room, written down by every member: raw QUIC, WebTransport, native WebSocket, and kernels by
//! WebSocket rooms of each generation, all talking at once.

#![allow(clippy::unwrap_used, reason = "in a test, a panic is the report")]

use atoll_client::{Event, Position, Wallet, Way};
use atoll_proto::data::{self, data::Message as Older};
use atoll_proto::rfc4::{self, packet::Message as Newer};
use atoll_tests::room::{Explorer, FirstRoom, OlderKernel, Rfc5};
use atoll_tests::{Edge, Peer, chat, position, within};
use prost::Message as _;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::{MissedTickBehavior, interval};

const HERE: Position = Position { x: 1.0, y: 0.0, z: 1.0 };

/// Messages of each member: of each an ordered one, and a place to go with it.
const ROUNDS: u32 = 100;

/// What a member heard of each other: chat in order, and how far each came.
#[derive(Default)]
struct Ledger {
    chat: BTreeMap<String, Vec<String>>,
    place: BTreeMap<String, f32>,
}

impl Ledger {
    fn newer(&mut self, from: &str, packet: &[u8]) {
        match rfc4::Packet::decode(packet).unwrap().message.unwrap() {
            Newer::Chat(chat) => self.chat.entry(from.to_owned()).or_default().push(chat.message),
            Newer::Position(position) => self.walked(from, position.position_x),
            other => panic!("nobody said {other:?}"),
        }
    }

    fn older(&mut self, from: &str, data: &[u8]) {
        match data::Data::decode(data).unwrap().message.unwrap() {
            Older::Chat(chat) => self.chat.entry(from.to_owned()).or_default().push(chat.text),
            Older::Position(position) => self.walked(from, position.position_x),
            other => panic!("nobody said {other:?}"),
        }
    }

    /// Never twice and never backwards.
    fn walked(&mut self, from: &str, x: f32) {
        if let Some(before) = self.place.insert(from.to_owned(), x) {
            assert!(before < x, "{from} went from {before} to {x}");
        }
    }

    fn is_full(&self, others: usize) -> bool {
        self.chat.values().map(Vec::len).sum::<usize>() >= others * ROUNDS as usize && self.place.len() == others
    }

    /// Exactly once, in the order in which each said it, and of everybody.
    fn check(self, own: &str, everybody: &[String]) {
        let expected: BTreeMap<String, Vec<String>> = everybody
            .iter()
            .filter(|name| *name != own)
            .map(|name| (name.clone(), (0..ROUNDS).map(line).collect()))
            .collect();
        assert_eq!(self.chat, expected, "as {own} heard it");
    }
}

fn line(round: u32) -> String {
    format!("line {round}")
}

/// Somebody in the room.
enum Member {
    Native(Peer),
    Kernel(Rfc5),
    Summer(FirstRoom),
}

impl Member {
    async fn say(&mut self, text: &str) {
        match self {
            Self::Native(peer) => drop(peer.send_ordered(chat(text)).unwrap()),
            Self::Kernel(room) => room.say(chat(text), false).await,
            Self::Summer(room) => {
                let chat = data::Chat { time: 1.0, message_id: text.to_owned(), text: text.to_owned() };
                room.say(data::Data { message: Some(Older::Chat(chat)) }.encode_to_vec(), false).await;
            }
        }
    }

    async fn walk(&mut self, step: u32) {
        let x = step as f32;
        match self {
            Self::Native(peer) => drop(peer.send_update(position(x, 0.0, step)).unwrap()),
            Self::Kernel(room) => room.say(position(x, 0.0, step), true).await,
            Self::Summer(room) => {
                let place = data::Position { time: f64::from(step), position_x: x, ..Default::default() };
                room.say(data::Data { message: Some(Older::Position(place)) }.encode_to_vec(), false).await;
            }
        }
    }

    /// Writes down what comes next.
    async fn hear(&mut self, ledger: &mut Ledger) {
        match self {
            Self::Native(peer) => match peer.next_event().await {
                Event::Ordered(message) => ledger.newer(&message.sender.name, &message.payload),
                Event::Packet(packet) => ledger.newer(packet.name.as_deref().unwrap(), &packet.payload),
                event @ (Event::Gap { .. } | Event::Undelivered { .. } | Event::Closed(_)) => panic!("{event:?}"),
                _ => {}
            },
            Self::Kernel(room) => {
                let (from, body, _) = room.hears().await;
                ledger.newer(&from, &body);
            }
            Self::Summer(room) => {
                let (from, body, _) = room.hears().await;
                ledger.older(&from, &body);
            }
        }
    }

    /// Talks and walks, and writes down what the others say, until everybody has heard all of it.
    async fn live(mut self, own: String, everybody: Arc<[String]>, heard_all: watch::Sender<usize>) -> Self {
        let (mut ledger, mut is_counted, mut all) = (Ledger::default(), false, heard_all.subscribe());
        for round in 0..ROUNDS {
            self.say(&line(round)).await;
            self.walk(round).await;
        }
        let mut step = ROUNDS;
        let mut again = interval(Duration::from_millis(50));
        again.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let last_words = async {
            loop {
                if !is_counted && ledger.is_full(everybody.len() - 1) {
                    is_counted = true;
                    heard_all.send_modify(|count| *count += 1);
                }
                tokio::select! {
                    () = async { drop(all.wait_for(|count| *count == everybody.len()).await) } => return,
                    // A datagram may be lost; the next tells more.
                    _ = again.tick() => {
                        self.walk(step).await;
                        step += 1;
                    }
                    () = self.hear(&mut ledger) => {}
                }
            }
        };
        within("what everybody says", last_words).await;
        ledger.check(&own, &everybody);
        self
    }
}

/// A kernel of RFC-5, in the room of its island.
async fn kernel(edge: &Edge, wallet: &Wallet, by_token: bool) -> (Explorer, Member) {
    let mut session = Explorer::log_in(edge.http(), wallet).await;
    session.stand(HERE).await;
    let (island, string) = session.island().await;
    let room = match by_token {
        true => Rfc5::by_string(edge.http(), &string).await,
        false => Rfc5::signed_in(edge.http(), &island, wallet).await,
    };
    (session, Member::Kernel(room))
}

/// A kernel of 2022's summer, in the room of its island.
async fn summer(edge: &Edge, wallet: &Wallet) -> (OlderKernel, Member) {
    let mut session = OlderKernel::log_in(edge.http(), wallet).await;
    session.stand(HERE).await;
    let (_, string) = session.island().await;
    (session, Member::Summer(FirstRoom::by_string(edge.http(), &string).await))
}

#[tokio::test(flavor = "multi_thread")]
async fn everybody_hears_everybody_once_and_in_order_whatever_they_came_by() {
    let edge = Edge::start().await;
    let mut natives = Vec::new();
    for way in [Way::Quic, Way::WebTransport, Way::WebSocket] {
        let mut peer = edge.peer(way).await;
        peer.heartbeat(HERE);
        peer.seated(natives.len() + 1).await;
        natives.push(peer);
    }
    let wallets = [(); 4].map(|()| Wallet::random().unwrap());
    let (_by_token, token) = kernel(&edge, &wallets[0], true).await;
    let (_by_proof, proof) = kernel(&edge, &wallets[1], false).await;
    let (_first, first) = summer(&edge, &wallets[2]).await;
    let (_other, other) = summer(&edge, &wallets[3]).await;
    for peer in &mut natives {
        peer.seated(7).await;
    }
    let names = natives.iter().map(|peer| peer.address()).chain(wallets.iter().map(Wallet::address));
    let everybody: Arc<[String]> = names.map(|address| address.to_string()).collect();
    let members = natives.into_iter().map(Member::Native).chain([token, proof, first, other]);
    let heard_all = watch::Sender::new(0);
    let mut lives: JoinSet<Member> = members
        .zip(everybody.iter())
        .map(|(member, own)| member.live(own.clone(), Arc::clone(&everybody), heard_all.clone()))
        .collect();
    let mut there = Vec::new();
    while let Some(member) = lives.join_next().await {
        there.push(member.unwrap());
    }
    let status = edge.status().await;
    let lost = |path: &str| status.pointer(path).unwrap().as_u64().unwrap();
    assert_eq!(lost("/region/packets_refused/too_fast") + lost("/kernels/ws_room_packets/refused"), 0);
}
