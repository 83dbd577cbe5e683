//! Auth chains that do not hold, at both doors of existing kernels: they cost their sender the login and nobody else anything.

#![allow(clippy::unwrap_used, reason = "in a test, a panic is the report")]

use atoll_client::{Wallet, auth_chain_json};
use atoll_proto::archipelago::client_packet::Message as ToArchipelago;
use atoll_proto::archipelago::server_packet::Message as FromArchipelago;
use atoll_proto::archipelago::{ChallengeRequestMessage, ClientPacket, ServerPacket, SignedChallengeMessage};
use atoll_tests::kernel::{Kernel, in_an_hour, words};
use atoll_tests::websocket::{Origin, WebSocket};
use atoll_tests::{Edge, eventually, within};
use prost::Message as _;
use std::time::{Duration, SystemTime};

const FAILED: &str = "Authentication failed";

/// What the BFF says of a port that it has closed.
const NO_PORT: &str = "invalid portId";

/// A client of archipelago's WebSocket.
struct Explorer(WebSocket);

impl Explorer {
    async fn connect(edge: &Edge) -> Self {
        Self(WebSocket::open(edge.http(), "/archipelago/ws", "archipelago", Origin::default()).await.unwrap())
    }

    async fn send(&mut self, message: ToArchipelago) {
        self.0.send(ClientPacket { message: Some(message) }.encode_to_vec()).await.unwrap();
    }

    async fn next(&mut self) -> FromArchipelago {
        let message = within("a message", self.0.next()).await.unwrap();
        ServerPacket::decode(message).unwrap().message.unwrap()
    }

    async fn challenge(&mut self, address: &str) -> String {
        self.send(ToArchipelago::ChallengeRequest(ChallengeRequestMessage { address: address.to_owned() })).await;
        let FromArchipelago::ChallengeResponse(response) = self.next().await else { panic!("a challenge is due") };
        response.challenge_to_sign
    }

    async fn sign(&mut self, auth_chain_json: String) {
        self.send(ToArchipelago::SignedChallenge(SignedChallengeMessage { auth_chain_json })).await;
    }

    async fn logged_in(edge: &Edge) -> Self {
        let (mut explorer, wallet) = (Self::connect(edge).await, Wallet::random().unwrap());
        let challenge = explorer.challenge(&wallet.address().to_string()).await;
        explorer.sign(wallet.sign(&challenge, in_an_hour())).await;
        assert!(matches!(explorer.next().await, FromArchipelago::Welcome(_)));
        explorer
    }
}

/// A chain of somebody for a challenge, that may not hold.
type Chain = fn(&Wallet, challenge: &str) -> String;

/// One hour ago.
fn expired(wallet: &Wallet, challenge: &str) -> String {
    wallet.sign(challenge, SystemTime::now() - Duration::from_secs(3600))
}

/// Of a signature by another's key.
fn forged(wallet: &Wallet, challenge: &str) -> String {
    let mut links = Wallet::random().unwrap().links(challenge, in_an_hour());
    links[0].payload = wallet.address().to_string();
    auth_chain_json(&links)
}

fn for_another_challenge(wallet: &Wallet, _: &str) -> String {
    wallet.sign("dcl-0.thisisanotherchallenge", in_an_hour())
}

fn without_the_challenge(wallet: &Wallet, challenge: &str) -> String {
    auth_chain_json(&wallet.links(challenge, in_an_hour())[..2])
}

const BROKEN: [Chain; 4] = [expired, forged, for_another_challenge, without_the_challenge];

/// Texts that are no chain at all.
const NO_CHAINS: [&str; 6] = ["", "[]", "null", "{}", "[{}]", "not even JSON"];

async fn count(edge: &Edge, pointer: &str) -> u64 {
    edge.status().await.pointer(pointer).and_then(serde_json::Value::as_u64).unwrap_or(0)
}

#[tokio::test(flavor = "multi_thread")]
async fn chains_that_do_not_hold_end_the_port_or_the_socket() {
    let edge = Edge::start().await;
    let wallet = Wallet::random().unwrap();
    let address = wallet.address().to_string();
    for chain in BROKEN {
        let mut kernel = Kernel::connect(edge.http()).await.unwrap();
        let challenge = kernel.challenge(&address).await.unwrap();
        assert_eq!(words(kernel.authenticate(&chain(&wallet, &challenge)).await), FAILED);
        assert_eq!(words(kernel.challenge(&address).await), NO_PORT);
        // The socket is not the port: another one may do better.
        kernel.open_port().await.unwrap();
        kernel.log_in(&wallet).await.unwrap();

        let mut explorer = Explorer::connect(&edge).await;
        let challenge = explorer.challenge(&address).await;
        explorer.sign(chain(&wallet, &challenge)).await;
        assert_eq!(explorer.0.close_code().await, 1008);
    }
    for door in ["bff", "archipelago"] {
        assert_eq!(count(&edge, &format!("/kernels/{door}/refused/unauthorized")).await, BROKEN.len() as u64, "{door}");
    }
    let refused = BROKEN.len() as u64;
    eventually("the ends", || async {
        (count(&edge, "/kernels/archipelago/closed/login_refused").await == refused).then_some(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_chain_leaves_the_bffs_port_open_as_the_original_did() {
    let edge = Edge::start().await;
    let wallet = Wallet::random().unwrap();
    let address = wallet.address().to_string();
    let mut kernel = Kernel::connect(edge.http()).await.unwrap();
    let longest = " ".repeat(64 * 1024);
    for text in NO_CHAINS.into_iter().chain([longest.as_str()]) {
        assert_eq!(words(kernel.authenticate(text).await), FAILED, "{text:.20}");
        let mut explorer = Explorer::connect(&edge).await;
        explorer.challenge(&address).await;
        explorer.sign(text.to_owned()).await;
        assert_eq!(explorer.0.close_code().await, 1008, "{text:.20}");
    }
    kernel.log_in(&wallet).await.unwrap();
    // Who has logged in may send more, and is answered in words.
    assert_eq!(words(kernel.authenticate(&"[".repeat(1 << 20)).await), FAILED);
    kernel.publish("still", Vec::new()).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_chain_of_a_mebibyte_is_not_read() {
    let edge = Edge::start().await;
    let giant = format!("[{}]", " ".repeat(1 << 20));
    let mut kernel = Kernel::connect(edge.http()).await.unwrap();
    kernel.challenge(&Wallet::random().unwrap().address().to_string()).await.unwrap();
    let before = count(&edge, "/kernels/bff/bytes_in").await;
    // The socket may be closed while it is being written.
    let _ = kernel.authenticate(&giant).await;
    let mut explorer = Explorer::connect(&edge).await;
    explorer.challenge(&Wallet::random().unwrap().address().to_string()).await;
    explorer.sign(giant).await;
    assert_eq!(explorer.0.close_code().await, 1009);
    for door in ["bff", "archipelago"] {
        let pointer = format!("/kernels/{door}/closed/too_large");
        eventually("the close", || async { (count(&edge, &pointer).await == 1).then_some(()) }).await;
    }
    assert_eq!(count(&edge, "/kernels/bff/bytes_in").await, before);
    // In pieces that are small each, too.
    let mut pieces = Kernel::connect(edge.http()).await.unwrap();
    let piece = [&[0x02, 0xfe, 0xea, 0x60, 0, 0, 0, 0][..], &[0; 60_000]].concat();
    pieces.socket.send_raw(&piece).await.unwrap();
    let more = [&[0x00, 0xfe, 0xea, 0x60, 0, 0, 0, 0][..], &[0; 60_000]].concat();
    pieces.socket.send_raw(&more).await.unwrap();
    assert_eq!(pieces.socket.close_code().await, 1009);
    Kernel::logged_in(edge.http()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_chain_works_for_the_port_whose_challenge_it_signs_and_for_no_other() {
    let edge = Edge::start().await;
    let wallet = Wallet::random().unwrap();
    let address = wallet.address().to_string();
    let mut kernel = Kernel::connect(edge.http()).await.unwrap();
    let challenge = kernel.challenge(&address).await.unwrap();
    let chain = wallet.sign(&challenge, in_an_hour());
    kernel.authenticate(&chain).await.unwrap();
    kernel.load("CommsService").await.unwrap();

    // Somebody who saw it go by shows it on sockets of his own.
    let mut thief = Kernel::connect(edge.http()).await.unwrap();
    assert_ne!(thief.challenge(&address).await.unwrap(), challenge);
    assert_eq!(words(thief.authenticate(&chain).await), FAILED);
    let mut thief = Explorer::connect(&edge).await;
    thief.challenge(&address).await;
    thief.sign(chain.clone()).await;
    assert_eq!(thief.0.close_code().await, 1008);
    // Its owner is not disturbed, and disturbs nobody but itself by showing it twice, as with the original.
    kernel.publish("still", Vec::new()).await.unwrap();
    assert_eq!(kernel.authenticate(&chain).await.unwrap(), address);
    kernel.publish("still", Vec::new()).await.unwrap();
    assert_eq!(count(&edge, "/region/sessions").await, 1);
    // After the port it is worth nothing.
    kernel.close_port().await.unwrap();
    kernel.open_port().await.unwrap();
    assert_eq!(words(kernel.authenticate(&chain).await), FAILED);

    // A challenge of archipelago's is answered once.
    let mut explorer = Explorer::connect(&edge).await;
    let challenge = explorer.challenge(&address).await;
    let chain = wallet.sign(&challenge, in_an_hour());
    explorer.sign(chain.clone()).await;
    assert!(matches!(explorer.next().await, FromArchipelago::Welcome(_)));
    explorer.sign(chain).await;
    assert_eq!(explorer.0.close_code().await, 1007);
    eventually("the end of the session", || async { (count(&edge, "/region/sessions").await == 0).then_some(()) })
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_becomes_another_by_asking_for_its_challenge() {
    let edge = Edge::start().await;
    let (victim, other) = (Wallet::random().unwrap(), Wallet::random().unwrap());
    let mut honest = Kernel::connect(edge.http()).await.unwrap();
    honest.log_in(&victim).await.unwrap();
    // The BFF logs in who signed, whoever it was asked for: the original's clients may depend on it.
    let mut kernel = Kernel::connect(edge.http()).await.unwrap();
    let challenge = kernel.challenge(&victim.address().to_string()).await.unwrap();
    let peer = kernel.authenticate(&other.sign(&challenge, in_an_hour())).await.unwrap();
    assert_eq!(peer, other.address().to_string());
    let mut explorer = Explorer::connect(&edge).await;
    let challenge = explorer.challenge(&victim.address().to_string()).await;
    explorer.sign(other.sign(&challenge, in_an_hour())).await;
    assert_eq!(explorer.0.close_code().await, 1008);
    honest.publish("still", Vec::new()).await.unwrap();
    assert_eq!(count(&edge, "/region/sessions").await, 2);
    Explorer::logged_in(&edge).await;
}
