//! Whatever a kernel sends wrong, or does not do, costs that kernel: by words, or by its socket; and the others hear on.

#![allow(clippy::unwrap_used, reason = "in a test, a panic is the report")]

use atoll_client::Wallet;
use atoll_proto::archipelago::{Heartbeat, IslandChangedMessage, Position};
use atoll_proto::archipelago_2022;
use atoll_proto::bff::{
    PublishToTopicRequest, Subscription, SubscriptionRequest, SystemTopicSubscriptionResultElem, UnsubscriptionResult,
};
use atoll_tests::kernel::{Kernel, words};
use atoll_tests::websocket::{Origin, WebSocket};
use atoll_tests::{Edge, eventually, within};
use prost::Message as _;
use std::time::Duration;

async fn count(edge: &Edge, pointer: &str) -> u64 {
    edge.status().await.pointer(pointer).and_then(serde_json::Value::as_u64).unwrap_or(0)
}

/// Waits until a number of `/status` is this one.
async fn counted(edge: &Edge, pointer: &str, expected: u64) {
    eventually(pointer, || async { (count(edge, pointer).await == expected).then_some(()) }).await;
}

/// Two who talk: a topic, its speaker and its listener.
struct Neighbours {
    speaker: Kernel,
    listener: Kernel,
    stream: u32,
}

impl Neighbours {
    async fn of(edge: &Edge) -> Self {
        let (speaker, mut listener) = (Kernel::logged_in(edge.http()).await, Kernel::logged_in(edge.http()).await);
        let stream = listener.listen("talk").await.unwrap();
        Self { speaker, listener, stream }
    }

    /// One says something, the other hears it next.
    async fn talk(&mut self, what: Vec<u8>) {
        within("an answer", self.speaker.publish("talk", what.clone())).await.unwrap();
        assert_eq!(self.listener.message(self.stream).await.payload, what);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_no_client_sends_costs_the_socket_and_others_talk_on() {
    let edge = Edge::start().await;
    let mut neighbours = Neighbours::of(&edge).await;
    // Frames that only servers send, that nobody sends, and that are none.
    let frames: [&[u8]; 9] = [
        &[0x0d, 0x01, 0x00, 0x00, 0x10],
        &[0x0d, 0x01, 0x00, 0x00, 0x30],
        &[0x0d, 0x01, 0x00, 0x00, 0x40],
        &[0x0d, 0x01, 0x00, 0x00, 0x48],
        &[0x0d, 0x00, 0x00, 0x00, 0x58],
        &[0x0d, 0x01, 0x00, 0x00, 0x78],
        &[],
        &[0x80, 0x6d],
        &[0x0d, 0x01],
    ];
    for frame in frames {
        let mut kernel = Kernel::logged_in(edge.http()).await;
        kernel.socket.send(frame.to_vec()).await.unwrap();
        assert_eq!(kernel.socket.close_code().await, 1007, "{frame:02x?}");
        neighbours.talk(b"still here".to_vec()).await;
    }
    for path in ["/rpc", "/bff/rpc", "/archipelago/ws", "/ws"] {
        let open = || WebSocket::open(edge.http(), path, "bff", Origin::default());
        let mut socket = open().await.unwrap();
        socket.send_text("hello").await.unwrap();
        assert_eq!(socket.close_code().await, 1003, "{path}");
        // Not masked, which every client's frame is; and one that says it is above every limit.
        let mut socket = open().await.unwrap();
        socket.send_raw(&[0x82, 0x01, 0x00]).await.unwrap();
        assert_eq!(socket.close_code().await, 1002, "{path}");
        let mut socket = open().await.unwrap();
        socket.send_raw(&[&[0x82, 0xff][..], &[0x7f; 8], &[0; 4]].concat()).await.unwrap();
        assert_eq!(socket.close_code().await, 1009, "{path}");
    }
    let mut explorer = WebSocket::open(edge.http(), "/ws", "archipelago", Origin::default()).await.unwrap();
    explorer.send(vec![0xff; 40]).await.unwrap();
    assert_eq!(explorer.close_code().await, 1007);
    let mut large = Kernel::logged_in(edge.http()).await;
    large.socket.send_raw(&[&[0x82, 0xff][..], &(3_u64 << 20).to_be_bytes(), &[0; 4]].concat()).await.unwrap();
    assert_eq!(large.socket.close_code().await, 1009);
    neighbours.talk(vec![7; 1 << 20]).await;
    counted(&edge, "/kernels/bff/closed/malformed", 9).await;
    counted(&edge, "/kernels/archipelago/closed/malformed", 1).await;
    for door in ["bff", "archipelago"] {
        for reason in ["text", "no_websocket"] {
            counted(&edge, &format!("/kernels/{door}/closed/{reason}"), 2).await;
        }
    }
    counted(&edge, "/kernels/bff/closed/too_large", 3).await;
    counted(&edge, "/kernels/bff/sockets", 2).await;
    counted(&edge, "/region/sessions", 2).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_subscribes_ten_thousand_times_is_told_and_goes_on() {
    let edge = Edge::start().await;
    let mut kernel = Kernel::logged_in(edge.http()).await;
    let topic = |number: usize| SubscriptionRequest { topic: format!("topic.{number}") };
    let (mut taken, mut refused) = (Vec::new(), 0);
    for round in 0..100 {
        let mut numbers = Vec::new();
        for number in 0..100 {
            let asked = topic(round * 100 + number);
            numbers.push(kernel.begin("CommsService.SubscribeToPeerMessages", &asked).await.unwrap());
        }
        for number in numbers {
            match kernel.answer::<Subscription>(number).await {
                Ok(subscription) => taken.push(subscription),
                Err(error) => {
                    assert_eq!(error.to_string(), "more than 256 subscriptions");
                    refused += 1;
                }
            }
        }
    }
    assert_eq!((taken.len(), refused), (256, 9_744));
    counted(&edge, "/region/topics/subscriptions", 256).await;
    // As streams, too.
    let mut streams = Vec::new();
    for number in 0..10_000 {
        streams.push(kernel.begin("TopicsService.PeerSubscription", &topic(number)).await.unwrap());
    }
    let mut offers = 0;
    for stream in streams {
        match kernel.take_up(stream).await {
            Ok(()) => {
                offers += 1;
                assert_eq!(words(kernel.item(stream).await), "more than 256 subscriptions");
            }
            Err(error) => assert_eq!(error.to_string(), "Too many calls under way"),
        }
    }
    assert!((512..10_000).contains(&offers), "{offers}");
    // The session lives on, and has room for one more when it gives one up.
    let given_up: UnsubscriptionResult =
        kernel.call("CommsService.UnsubscribeToPeerMessages", &taken[0]).await.unwrap();
    assert!(given_up.ok);
    let stream = kernel.listen("again").await.unwrap();
    kernel.publish("again", b"heard".to_vec()).await.unwrap();
    assert_eq!(kernel.message(stream).await.payload, b"heard");
    kernel.close_port().await.unwrap();
    counted(&edge, "/region/topics/subscriptions", 0).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_that_is_never_acknowledged_keeps_a_bounded_number_of_messages() {
    const SENT: u64 = 200;
    const SIZE: u64 = 8 * 1024;
    let edge = Edge::start().await;
    let mut neighbours = Neighbours::of(&edge).await;
    // One does not take its stream up, one takes the first message and nothing after it, one does not even ask.
    let mut deaf = Kernel::logged_in(edge.http()).await;
    let offer = deaf.subscribe("talk").await.unwrap();
    deaf.item(offer).await.unwrap();
    let mut stuck = Kernel::logged_in(edge.http()).await;
    let first = stuck.listen("talk").await.unwrap();
    let mut silent = Kernel::logged_in(edge.http()).await;
    let request = SubscriptionRequest { topic: "*".to_owned() };
    silent.call::<Subscription>("CommsService.SubscribeToPeerMessages", &request).await.unwrap();
    for _ in 0..SENT {
        neighbours.talk(vec![7; SIZE as usize]).await;
    }
    assert_eq!(stuck.item(first).await.unwrap().sequence, 1);
    let dropped = count(&edge, "/region/topics/dropped").await;
    // 51 wait for each of the three; the one that is stuck was sent the first.
    assert_eq!(dropped, 3 * (SENT - 51) - 1);
    let waiting = count(&edge, "/region/topics/waiting_bytes").await;
    assert!((3 * 51 * SIZE..3 * 51 * (SIZE + 512)).contains(&waiting), "{waiting}");
    counted(&edge, "/region/topics/delivered", SENT + 1).await;
    // What waits is there for who thinks better of it, and is gone with who does not.
    deaf.acknowledge(offer, 0).await.unwrap();
    for _ in 0..51 {
        assert_eq!(deaf.message(offer).await.payload.len() as u64, SIZE);
    }
    drop((deaf, stuck, silent));
    counted(&edge, "/region/topics/waiting_bytes", 0).await;
    neighbours.talk(b"last".to_vec()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_port_that_closes_ends_what_hangs_on_it() {
    let edge = Edge::start().await;
    let mut kernel = Kernel::logged_in(edge.http()).await;
    kernel.listen("topic").await.unwrap();
    let request = SubscriptionRequest { topic: "other".to_owned() };
    let stream = kernel.begin("TopicsService.PeerSubscription", &request).await.unwrap();
    kernel.take_up(stream).await.unwrap();
    kernel.load("CommsDirectorService").await.unwrap();
    let commands = kernel.begin("CommsDirectorService.GetCommsCommands", &()).await.unwrap();
    kernel.take_up(commands).await.unwrap();
    counted(&edge, "/region/topics/subscriptions", 2).await;
    kernel.close_port().await.unwrap();
    counted(&edge, "/region/topics/subscriptions", 0).await;
    counted(&edge, "/region/sessions", 0).await;
    counted(&edge, "/kernels/bff/waiting", 1).await;
    // Without a session it may send small messages only.
    kernel.socket.send_raw(&[&[0x82, 0xff][..], &(1_u64 << 20).to_be_bytes(), &[0; 4]].concat()).await.unwrap();
    assert_eq!(kernel.socket.close_code().await, 1009);
}

/// The position of a peer in the first island change that a kernel hears, as both decoders read it.
async fn island_change(edge: &Edge, subprotocol: &str) -> (Position, archipelago_2022::Position3DMessage) {
    let (mut kernel, wallet) =
        (Kernel::connect_as(edge.http(), subprotocol, Origin::default()).await.unwrap(), Wallet::random().unwrap());
    kernel.log_in(&wallet).await.unwrap();
    let address = wallet.address().to_string();
    let request = SubscriptionRequest { topic: format!("{address}.island_changed") };
    let stream = kernel.begin("TopicsService.SystemSubscription", &request).await.unwrap();
    kernel.take_up(stream).await.unwrap();
    let heartbeat = Heartbeat { position: Some(Position { x: 8.0, y: 1.5, z: -24.0 }), desired_room: None };
    let publish = PublishToTopicRequest { topic: "heartbeat".to_owned(), payload: heartbeat.encode_to_vec() };
    let item = within("an island change", async {
        loop {
            kernel.call::<()>("CommsService.PublishToTopic", &publish).await.unwrap();
            if let Ok(item) = tokio::time::timeout(Duration::from_millis(500), kernel.heard(stream)).await {
                return item.unwrap();
            }
        }
    })
    .await;
    let element = SystemTopicSubscriptionResultElem::decode(&item[..]).unwrap();
    let floats = IslandChangedMessage::decode(&element.payload[..]).ok();
    let doubles = archipelago_2022::IslandChangedMessage::decode(&element.payload[..]).ok();
    let island = floats.as_ref().map(|island| island.conn_str.clone());
    let strings = island.or_else(|| doubles.as_ref().map(|island| island.conn_str.clone()));
    assert!(strings.is_some_and(|string| string.starts_with("ws-room:ws://127.0.0.1:")));
    let of = |peers: usize| assert_eq!(peers, 1);
    floats.iter().for_each(|island| of(island.peers.len()));
    doubles.iter().for_each(|island| of(island.peers.len()));
    let float = floats.and_then(|island| island.peers.into_iter().next()?.value);
    let double = doubles.and_then(|island| island.peers.into_iter().next()?.value);
    (float.unwrap_or_default(), double.unwrap_or_default())
}

#[tokio::test(flavor = "multi_thread")]
async fn island_changes_carry_the_coordinates_that_the_operator_chose() {
    let usual = Edge::start().await;
    let floats = Edge::start_with_variables(&[("ATOLL_KERNELS__BFF_COORDINATES", "float")]).await;
    for (edge, subprotocol, is_float) in
        [(&usual, "bff", false), (&usual, "comms", false), (&floats, "bff", true), (&floats, "comms", false)]
    {
        let (float, double) = island_change(edge, subprotocol).await;
        let float = (f64::from(float.x), f64::from(float.y), f64::from(float.z));
        let double = (double.x, double.y, double.z);
        let place = (8.0, 1.5, -24.0);
        assert_eq!((float == place, double == place), (is_float, !is_float), "{subprotocol} {float:?} {double:?}");
    }
}
