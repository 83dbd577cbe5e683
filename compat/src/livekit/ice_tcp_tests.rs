use super::super::routes::{Inbox, Side};
use super::super::stun;
use super::*;
use std::net::Ipv4Addr;
use tokio::net::TcpSocket;

const LIMITS: Limits =
    Limits { participants: 8, participants_per_place: 3, strangers: 6, naming: Duration::from_secs(60) };

struct Door {
    address: SocketAddr,
    routes: Arc<Routes>,
    writers: Arc<Writers>,
    _task: tokio::task::JoinSet<()>,
}

impl Door {
    async fn open(limits: Limits) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let address = listener.local_addr().unwrap();
        let (routes, writers) = (Arc::<Routes>::default(), Arc::<Writers>::default());
        let mut task = tokio::task::JoinSet::new();
        task.spawn(accept(listener, Arc::clone(&routes), Arc::clone(&writers), limits));
        Self { address, routes, writers, _task: task }
    }

    fn participant(&self) -> Inbox {
        let mut inbox = self.routes.open(1);
        inbox.name(Side::Publisher, "ours".to_owned());
        inbox
    }

    /// From another loopback address, 127.0.0.`host`.
    async fn connect(&self, host: u8) -> TcpStream {
        let socket = TcpSocket::new_v4().unwrap();
        socket.bind((Ipv4Addr::new(127, 0, 0, host), 0).into()).unwrap();
        socket.connect(self.address).await.unwrap()
    }

    fn refused(&self) -> (u64, u64) {
        let counters = self.routes.counters();
        (counters.tcp_unknown.value(), counters.tcp_crowded.value())
    }
}

async fn say(stream: &mut TcpStream, datagram: &[u8]) {
    stream.write_u16(datagram.len() as u16).await.unwrap();
    stream.write_all(datagram).await.unwrap();
}

fn request(name: &str) -> Vec<u8> {
    stun::request(&[(6, format!("{name}:theirs").as_bytes())])
}

async fn heard(inbox: &mut Inbox) -> SocketAddr {
    let mut datagrams = Vec::new();
    timeout(Duration::from_secs(20), inbox.receive(&mut datagrams, 1)).await.unwrap();
    datagrams[0].source
}

/// Waits until the other side has closed it.
async fn is_closed(stream: &mut TcpStream) {
    let read = timeout(Duration::from_secs(20), stream.read(&mut [0])).await.expect("it stays open");
    assert!(!matches!(read, Ok(1..)));
}

#[tokio::test]
async fn silent_connections_of_one_place_shut_nobody_out() {
    let door = Door::open(LIMITS).await;
    let mut inbox = door.participant();
    let mut silent = Vec::new();
    for _ in 0..4 {
        silent.push(door.connect(2).await);
    }
    // More of them than there is room for: the oldest of the most crowded place goes.
    for _ in 0..3 {
        silent.push(door.connect(3).await);
    }
    is_closed(&mut silent[0]).await;
    let mut good = door.connect(4).await;
    say(&mut good, &request("ours")).await;
    assert_eq!(heard(&mut inbox).await, good.local_addr().unwrap());
    is_closed(&mut silent[1]).await;
    assert_eq!(door.refused(), (0, 2));

    // Nor one of their own place.
    for _ in 0..20 {
        silent.push(door.connect(2).await);
    }
    let mut neighbour = door.connect(2).await;
    say(&mut neighbour, &request("ours")).await;
    assert_eq!(heard(&mut inbox).await, neighbour.local_addr().unwrap());

    door.writers.send(good.local_addr().unwrap(), b"answer");
    let mut answer = [0; 8];
    good.read_exact(&mut answer).await.unwrap();
    assert_eq!(&answer, b"\x00\x06answer");
}

#[tokio::test]
async fn who_names_nobody_has_to_go_soon() {
    let door = Door::open(Limits { naming: Duration::from_millis(100), ..LIMITS }).await;
    let mut inbox = door.participant();
    is_closed(&mut door.connect(2).await).await;
    for first in [request("theirs"), b"nothing".to_vec(), Vec::new()] {
        let mut stranger = door.connect(2).await;
        say(&mut stranger, &first).await;
        is_closed(&mut stranger).await;
    }
    assert_eq!(door.refused(), (4, 0));
    let mut good = door.connect(2).await;
    say(&mut good, &request("ours")).await;
    heard(&mut inbox).await;
    tokio::time::sleep(Duration::from_millis(200)).await;
    say(&mut good, b"data").await;
    assert_eq!(heard(&mut inbox).await, good.local_addr().unwrap());
}

#[tokio::test]
async fn one_place_has_its_part_of_participants_and_an_address_that_is_gone_is_forgotten() {
    let door = Door::open(LIMITS).await;
    let mut inbox = door.participant();
    let mut inside = Vec::new();
    for _ in 0..3 {
        let mut one = door.connect(2).await;
        say(&mut one, &request("ours")).await;
        heard(&mut inbox).await;
        inside.push(one);
    }
    let mut further = door.connect(2).await;
    say(&mut further, &request("ours")).await;
    is_closed(&mut further).await;
    assert_eq!(door.refused(), (0, 1));
    let mut elsewhere = door.connect(3).await;
    say(&mut elsewhere, &request("ours")).await;
    heard(&mut inbox).await;

    // A participant may be heard from 32 addresses: those of connections that have ended are none.
    drop(inside);
    for _ in 0..40 {
        let mut one = door.connect(4).await;
        say(&mut one, &request("ours")).await;
        heard(&mut inbox).await;
        one.shutdown().await.unwrap();
        is_closed(&mut one).await;
    }
}
