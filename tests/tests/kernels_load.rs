//! Many kernels at once, and kernels that do not read: those who are in hear each other meanwhile.

#![allow(clippy::unwrap_used, reason = "in a test, a panic is the report")]

use atoll_client::Wallet;
use atoll_proto::bff::PeerTopicSubscriptionResultElem;
use atoll_tests::kernel::{Kernel, in_an_hour};
use atoll_tests::websocket::{Origin, WebSocket};
use atoll_tests::{Edge, eventually, within};
use std::net::{IpAddr, Ipv4Addr};
use std::time::Duration;
use tokio::sync::oneshot;
use tokio::sync::oneshot::error::TryRecvError;
use tokio::task::JoinSet;

/// How long the storm may last, on a busy machine.
const STORM: Duration = Duration::from_secs(60);

async fn count(edge: &Edge, pointer: &str) -> u64 {
    edge.status().await.pointer(pointer).and_then(serde_json::Value::as_u64).unwrap_or(0)
}

/// Two kernels, of whom one hears what the other says, in order and without a gap, until they are told to stop; how much
/// that was.
async fn talk(http: String, mut stop: oneshot::Receiver<()>) -> u32 {
    let (mut speaker, mut listener) = (Kernel::logged_in(&http).await, Kernel::logged_in(&http).await);
    let stream = listener.listen("talk").await.unwrap();
    let mut said = 0_u32;
    let mut beats = tokio::time::interval(Duration::from_millis(20));
    while matches!(stop.try_recv(), Err(TryRecvError::Empty)) {
        beats.tick().await;
        within("an answer", speaker.publish("talk", said.to_be_bytes().to_vec())).await.unwrap();
        let PeerTopicSubscriptionResultElem { payload, .. } = listener.message(stream).await;
        assert_eq!(payload, said.to_be_bytes());
        said += 1;
    }
    said
}

/// One of a crowd that comes from sixteen places.
fn place(index: usize) -> IpAddr {
    Ipv4Addr::new(127, 0, 1, (index % 16) as u8).into()
}

/// Comes in and stays. A house that is full for the moment is tried again, as clients do.
async fn honest(http: &str, index: usize) -> Kernel {
    let wallet = Wallet::random().unwrap();
    let origin = Origin { from: place(index), ..Origin::default() };
    let logged_in = async {
        loop {
            if let Ok(mut kernel) = Kernel::connect_as(http, "bff", origin).await
                && kernel.log_in(&wallet).await.is_ok()
            {
                return kernel;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    let mut kernel = tokio::time::timeout(STORM, logged_in).await.expect("a login in the storm");
    kernel.publish("here", Vec::new()).await.unwrap();
    kernel
}

/// Comes and does something else than logging in; what happens to it is its own affair.
async fn hostile(http: &str, index: usize) -> anyhow::Result<Option<WebSocket>> {
    let origin = Origin { from: place(index), ..Origin::default() };
    let path = if index.is_multiple_of(2) { "/rpc" } else { "/archipelago/ws" };
    let mut socket = WebSocket::open(http, path, "bff", origin).await?;
    match index / 4 % 5 {
        0 => socket.send_text("garbage").await?,
        1 => socket.send(vec![0xff; 1000]).await?,
        2 => socket.send_raw(&[0x82, 0xfe, 0xff, 0xff, 0, 0, 0, 0]).await?,
        3 => {
            let mut kernel = Kernel::connect_as(http, "bff", origin).await?;
            let challenge = kernel.challenge(&Wallet::random()?.address().to_string()).await?;
            kernel.authenticate(&Wallet::random()?.sign(&challenge.to_uppercase(), in_an_hour())).await?;
        }
        // Silence.
        _ => {}
    }
    Ok(Some(socket))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_storm_of_logins_passes_and_who_is_in_loses_nothing() {
    const SOCKETS: usize = 400;
    let edge = Edge::start().await;
    let (stop, stopped) = oneshot::channel();
    let talking = tokio::spawn(talk(edge.http().to_owned(), stopped));
    eventually("the talk", || async { (count(&edge, "/region/topics/delivered").await > 0).then_some(()) }).await;
    let (mut honests, mut hostiles) = (JoinSet::new(), JoinSet::new());
    for index in 0..SOCKETS {
        let http = edge.http().to_owned();
        if index.is_multiple_of(4) {
            hostiles.spawn(async move { hostile(&http, index).await });
        } else {
            honests.spawn(async move { honest(&http, index).await });
        }
    }
    let mut inside = Vec::new();
    while let Some(kernel) = honests.join_next().await {
        inside.push(kernel.unwrap());
    }
    assert_eq!(inside.len(), SOCKETS / 4 * 3);
    assert_eq!(count(&edge, "/region/sessions").await, inside.len() as u64 + 2);
    assert_eq!(count(&edge, "/region/topics/dropped").await, 0);
    assert!(count(&edge, "/kernels/bff/logins").await >= inside.len() as u64 + 2);
    stop.send(()).unwrap();
    let said = talking.await.unwrap();
    assert!(said > 5, "{said}");
    // Everybody is still there, and nobody waits who has logged in.
    for kernel in &mut inside {
        within("an answer", kernel.publish("here", Vec::new())).await.unwrap();
    }
    while let Some(hostile) = hostiles.join_next().await {
        drop(hostile.unwrap());
    }
    for door in ["bff", "archipelago"] {
        let pointer = format!("/kernels/{door}/waiting");
        eventually(&pointer, || async { (count(&edge, &pointer).await == 0).then_some(()) }).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn who_does_not_read_holds_nobody_up_and_keeps_a_bounded_part_of_the_memory() {
    const SIZE: usize = 32 * 1024;
    const MESSAGES: usize = 50;
    let edge = Edge::start().await;
    let (mut speaker, mut listener) = (Kernel::logged_in(edge.http()).await, Kernel::logged_in(edge.http()).await);
    let heard = listener.listen("busy").await.unwrap();
    // Hears everything a hundred times, and reads nothing of it.
    let origin = Origin { unread: Some(4096), ..Origin::default() };
    let mut slow = Kernel::connect_as(edge.http(), "bff", origin).await.unwrap();
    slow.log_in(&Wallet::random().unwrap()).await.unwrap();
    for _ in 0..100 {
        slow.listen("busy").await.unwrap();
    }
    for number in 0..MESSAGES {
        let payload = vec![number as u8; SIZE];
        within("an answer", speaker.publish("busy", payload.clone())).await.unwrap();
        assert_eq!(listener.message(heard).await.payload, payload);
    }
    // Half of what is there for all, because it leaves as much as it has: its hundred subscriptions want more than that.
    let waiting = count(&edge, "/region/topics/waiting_bytes").await;
    assert!((100 << 20..=129 << 20).contains(&waiting), "{waiting}");
    let dropped = count(&edge, "/region/topics/dropped").await;
    assert!(dropped > 500, "{dropped}");
    // Of that hundred copies, few were made.
    let written = count(&edge, "/kernels/bff/bytes_out").await;
    assert!(written < ((MESSAGES + 40) * SIZE) as u64, "{written}");
    drop(slow);
    let gone = || async { (count(&edge, "/region/topics/waiting_bytes").await == 0).then_some(()) };
    eventually("the memory", gone).await;
    within("an answer", speaker.publish("busy", b"last".to_vec())).await.unwrap();
    assert_eq!(listener.message(heard).await.payload, b"last");
}

#[tokio::test(flavor = "multi_thread")]
async fn silent_sockets_make_room_for_who_logs_in_from_a_less_crowded_place() {
    let edge = Edge::start_with_variables(&[("ATOLL_LIMITS__PRE_AUTH", "8")]).await;
    let crowd = Origin { from: Ipv4Addr::new(127, 0, 2, 1).into(), ..Origin::default() };
    let mut silent = Vec::new();
    for index in 0..8 {
        let path = if index % 2 == 0 { "/rpc" } else { "/ws" };
        silent.push(WebSocket::open(edge.http(), path, "bff", crowd).await.unwrap());
    }
    // Each takes the place of the oldest, and leaves it with its login.
    for number in 0..3 {
        let mut kernel = Kernel::logged_in(edge.http()).await;
        kernel.publish("here", Vec::new()).await.unwrap();
        assert_eq!(count(&edge, "/kernels/bff/logins").await, number + 1);
    }
    // The first made room; the others found the place of those that had logged in.
    assert_eq!(silent.remove(0).close_code().await, 1013);
    let waiting = count(&edge, "/kernels/bff/waiting").await + count(&edge, "/kernels/archipelago/waiting").await;
    assert_eq!(waiting, 7);
    assert_eq!(count(&edge, "/kernels/bff/closed/evicted").await, 1);
}
