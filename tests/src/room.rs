//! Clients of WebSocket rooms, by hand, and how they are told where their room is.

use crate::kernel::{Kernel, in_an_hour};
use crate::websocket::{Closed, Origin, WebSocket};
use crate::within;
use atoll_client::{Position, Wallet};
use atoll_proto::archipelago::client_packet::Message as ToArchipelago;
use atoll_proto::archipelago::server_packet::Message as FromArchipelago;
use atoll_proto::archipelago::{
    ChallengeRequestMessage, ClientPacket, Heartbeat, ServerPacket, SignedChallengeMessage,
};
use atoll_proto::archipelago_2022;
use atoll_proto::bff::{Subscription, SubscriptionRequest, SystemTopicSubscriptionResultElem};
use atoll_proto::rfc5::ws_packet::Message;
use atoll_proto::rfc5::{WsIdentification, WsPacket, WsPeerUpdate, WsSignedChallenge, WsWelcome};
use atoll_proto::ws_2022::ws_message::Data;
use atoll_proto::ws_2022::{WsIdentity, WsMessage, WsSystem};
use prost::Message as _;
use std::collections::BTreeMap;

/// A client of RFC-5.
pub struct Rfc5 {
    /// The socket below.
    pub socket: WebSocket,
    /// Who is there, by alias, itself not included.
    pub others: BTreeMap<u32, String>,
    /// Its alias, once it was welcomed.
    pub alias: u32,
}

impl Rfc5 {
    /// A socket at a path.
    ///
    /// # Errors
    /// When it is not let in.
    pub async fn open(http: &str, path: &str) -> anyhow::Result<Self> {
        let socket = WebSocket::open(http, path, "rfc5, rfc4", Origin::default()).await?;
        Ok(Self { socket, others: BTreeMap::new(), alias: 0 })
    }

    /// Signed into a room.
    ///
    /// # Panics
    /// When it does not get in.
    pub async fn signed_in(http: &str, room: &str, wallet: &Wallet) -> Self {
        let mut client = Self::open(http, &format!("/rooms/{room}")).await.expect("a socket");
        client.sign(wallet).await;
        client.welcomed().await;
        client
    }

    /// Let in by a connection string with a token.
    ///
    /// # Panics
    /// When it does not get in.
    pub async fn by_string(http: &str, connection_string: &str) -> Self {
        let mut client = Self::open(http, &path_of(connection_string)).await.expect("a socket");
        client.welcomed().await;
        client
    }

    /// Identifies itself and signs the challenge; whether its address was connected.
    ///
    /// # Panics
    /// When there is no challenge.
    pub async fn sign(&mut self, wallet: &Wallet) -> bool {
        let address = wallet.address().to_string();
        self.send(Message::PeerIdentification(WsIdentification { address })).await;
        let Message::ChallengeMessage(challenge) = self.next().await else { panic!("a challenge is due") };
        let auth_chain_json = wallet.sign(&challenge.challenge_to_sign, in_an_hour());
        self.send(Message::SignedChallengeForServer(WsSignedChallenge { auth_chain_json })).await;
        challenge.already_connected
    }

    /// Waits for the welcome.
    ///
    /// # Panics
    /// When something else comes.
    pub async fn welcomed(&mut self) {
        let Message::WelcomeMessage(WsWelcome { alias, peer_identities }) = self.next().await else {
            panic!("a welcome is due")
        };
        self.alias = alias;
        self.others = peer_identities.into_iter().map(|peer| (peer.key, peer.value)).collect();
    }

    /// Sends a packet.
    ///
    /// # Panics
    /// When the socket has ended.
    pub async fn send(&mut self, message: Message) {
        self.socket.send(WsPacket { message: Some(message) }.encode_to_vec()).await.expect("a socket");
    }

    /// Says something to the others.
    ///
    /// # Panics
    /// When the socket has ended.
    pub async fn say(&mut self, body: impl Into<Vec<u8>>, unreliable: bool) {
        self.send(Message::PeerUpdateMessage(WsPeerUpdate { from_alias: 77, body: body.into(), unreliable })).await;
    }

    /// The next packet; who comes and goes is noted.
    ///
    /// # Panics
    /// When the socket ends.
    pub async fn next(&mut self) -> Message {
        self.next_or_end().await.expect("a packet")
    }

    /// [`Rfc5::next`], or the end.
    ///
    /// # Errors
    /// [`Closed`].
    ///
    /// # Panics
    /// When nothing comes, or what cannot be read.
    pub async fn next_or_end(&mut self) -> Result<Message, Closed> {
        let packet = within("a packet", self.socket.next()).await?;
        let message = WsPacket::decode(packet).expect("readable").message.expect("a message");
        match &message {
            Message::PeerJoinMessage(join) => {
                assert_ne!(join.alias, self.alias, "nobody joins before itself");
                assert_eq!(self.others.insert(join.alias, join.address.clone()), None, "joined twice");
            }
            Message::PeerLeaveMessage(leave) => {
                assert!(self.others.remove(&leave.alias).is_some(), "left and was not there");
            }
            Message::PeerUpdateMessage(update) => {
                assert!(self.others.contains_key(&update.from_alias), "spoke and was not there");
            }
            _ => {}
        }
        Ok(message)
    }

    /// What the next to say something says, and who: news of members on the way are noted.
    pub async fn hears(&mut self) -> (String, Vec<u8>, bool) {
        loop {
            if let Message::PeerUpdateMessage(update) = self.next().await {
                return (self.others[&update.from_alias].clone(), update.body, update.unreliable);
            }
        }
    }

    /// Waits until exactly these others are there.
    pub async fn among(&mut self, addresses: &[String]) {
        let mut expected = addresses.to_vec();
        expected.sort();
        loop {
            let mut there: Vec<String> = self.others.values().cloned().collect();
            there.sort();
            if there == expected {
                return;
            }
            self.next().await;
        }
    }
}

/// A client of the first generation.
pub struct FirstRoom {
    /// The socket below.
    pub socket: WebSocket,
    /// Who an alias is, as far as it was told.
    pub others: BTreeMap<u64, String>,
}

impl FirstRoom {
    /// Let in by a connection string.
    ///
    /// # Panics
    /// When it is not.
    pub async fn by_string(http: &str, connection_string: &str) -> Self {
        let socket = WebSocket::open(http, &path_of(connection_string), "comms", Origin::default()).await;
        Self { socket: socket.expect("a socket"), others: BTreeMap::new() }
    }

    /// Says something to the others, with or without who says it.
    ///
    /// # Panics
    /// When the socket has ended.
    pub async fn say(&mut self, body: Vec<u8>, with_identity: bool) {
        let data = match with_identity {
            true => Data::IdentityMessage(WsIdentity { from_alias: 99, identity: "forged".to_owned(), body }),
            false => Data::SystemMessage(WsSystem { from_alias: 99, body }),
        };
        self.socket.send(WsMessage { data: Some(data) }.encode_to_vec()).await.expect("a socket");
    }

    /// What the next to say something says, who, and whether that went with it. Messages that only say who somebody is are
    /// noted.
    ///
    /// # Panics
    /// When somebody speaks who was not introduced.
    pub async fn hears(&mut self) -> (String, Vec<u8>, bool) {
        loop {
            let message = within("a message", self.socket.next()).await.expect("a message");
            match WsMessage::decode(message).expect("readable").data.expect("a message") {
                Data::SystemMessage(WsSystem { from_alias, body }) => {
                    return (self.others.get(&from_alias).expect("introduced").clone(), body, false);
                }
                Data::IdentityMessage(WsIdentity { from_alias, identity, body }) => {
                    self.others.insert(from_alias, identity.clone());
                    if !body.is_empty() {
                        return (identity, body, true);
                    }
                }
                Data::WelcomeMessage(_) => panic!("no server welcomes"),
            }
        }
    }
}

/// A session by archipelago's WebSocket, which is told of RFC-5 rooms.
pub struct Explorer {
    /// The socket below.
    pub socket: WebSocket,
}

impl Explorer {
    /// Logged in.
    ///
    /// # Panics
    /// When it does not get in.
    pub async fn log_in(http: &str, wallet: &Wallet) -> Self {
        let socket = WebSocket::open(http, "/archipelago/ws", "archipelago", Origin::default()).await;
        let mut explorer = Self { socket: socket.expect("a socket") };
        let address = wallet.address().to_string();
        explorer.send(ToArchipelago::ChallengeRequest(ChallengeRequestMessage { address })).await;
        let FromArchipelago::ChallengeResponse(response) = explorer.next().await else { panic!("a challenge is due") };
        let auth_chain_json = wallet.sign(&response.challenge_to_sign, in_an_hour());
        explorer.send(ToArchipelago::SignedChallenge(SignedChallengeMessage { auth_chain_json })).await;
        assert!(matches!(explorer.next().await, FromArchipelago::Welcome(_)));
        explorer
    }

    /// Says where it stands.
    pub async fn stand(&mut self, Position { x, y, z }: Position) {
        let position = Some(Position { x, y, z });
        self.send(ToArchipelago::Heartbeat(Heartbeat { position, desired_room: None })).await;
    }

    /// The next island it is told of, and where its room is.
    pub async fn island(&mut self) -> (String, String) {
        loop {
            if let FromArchipelago::IslandChanged(island) = self.next().await {
                return (island.island_id, island.conn_str);
            }
        }
    }

    async fn send(&mut self, message: ToArchipelago) {
        self.socket.send(ClientPacket { message: Some(message) }.encode_to_vec()).await.expect("a socket");
    }

    async fn next(&mut self) -> FromArchipelago {
        let message = within("a message", self.socket.next()).await.expect("a message");
        ServerPacket::decode(message).expect("readable").message.expect("a message")
    }
}

/// A session by the BFF, as a kernel of 2022's summer has it, which is told of rooms of the first generation.
pub struct OlderKernel {
    kernel: Kernel,
    islands: u32,
}

impl OlderKernel {
    /// Logged in.
    ///
    /// # Panics
    /// When it does not get in.
    pub async fn log_in(http: &str, wallet: &Wallet) -> Self {
        let mut kernel = Kernel::connect_as(http, "comms", Origin::default()).await.expect("a socket");
        kernel.log_in(wallet).await.expect("a login");
        let request = SubscriptionRequest { topic: format!("{}.island_changed", wallet.address()) };
        let subscription: Subscription =
            kernel.call("CommsService.SubscribeToSystemMessages", &request).await.expect("a subscription");
        let islands = kernel.begin("CommsService.GetSystemMessages", &subscription).await.expect("a stream");
        kernel.take_up(islands).await.expect("a stream");
        Self { kernel, islands }
    }

    /// Says where it stands.
    ///
    /// # Panics
    /// When the socket has ended.
    pub async fn stand(&mut self, Position { x, y, z }: Position) {
        let place = archipelago_2022::Position3DMessage { x: x.into(), y: y.into(), z: z.into() }.encode_to_vec();
        // A heartbeat's field 1 is its position; coordinates were doubles then.
        let mut heartbeat = vec![1 << 3 | 2, place.len() as u8];
        heartbeat.extend(place);
        self.kernel.publish("heartbeat", heartbeat).await.expect("a heartbeat");
    }

    /// The next island it is told of, and where its room is.
    ///
    /// # Panics
    /// When it is told of none.
    pub async fn island(&mut self) -> (String, String) {
        let item = within("an island", self.kernel.heard(self.islands)).await.expect("an item");
        let told = SystemTopicSubscriptionResultElem::decode(&item[..]).expect("readable");
        let island = archipelago_2022::IslandChangedMessage::decode(&told.payload[..]).expect("readable");
        (island.island_id, island.conn_str)
    }
}

/// The path, with its token, of a connection string.
///
/// # Panics
/// When it is not one of a WebSocket room.
pub fn path_of(connection_string: &str) -> String {
    let url = connection_string.strip_prefix("ws-room:ws://").expect("a WebSocket room");
    let (_, path) = url.split_once('/').expect("a path");
    format!("/{path}")
}
