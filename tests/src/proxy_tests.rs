//! The proxy between two plain sockets.

use super::*;
use crate::within;

/// A proxy, the edge's socket and a client's, which sends to the proxy.
async fn pair() -> (UdpProxy, UdpSocket, UdpSocket) {
    let (edge, client) = (socket().await.unwrap(), socket().await.unwrap());
    let proxy = UdpProxy::start(edge.local_addr().unwrap()).await.unwrap();
    client.connect(proxy.address()).await.unwrap();
    (proxy, edge, client)
}

async fn receive(socket: &UdpSocket) -> (Vec<u8>, SocketAddr) {
    let mut buffer = vec![0; MAX_PACKET];
    let (length, from) = within("a packet", socket.recv_from(&mut buffer)).await.unwrap();
    (buffer[..length].to_vec(), from)
}

#[tokio::test]
async fn packets_pass_both_ways_and_a_rebind_changes_the_source_port() {
    let (proxy, edge, client) = pair().await;
    client.send(b"one").await.unwrap();
    let (packet, first) = receive(&edge).await;
    assert_eq!(packet, b"one");
    edge.send_to(b"two", first).await.unwrap();
    assert_eq!(receive(&client).await, (b"two".to_vec(), proxy.address()));
    proxy.rebind().await.unwrap();
    client.send(b"three").await.unwrap();
    let (packet, second) = receive(&edge).await;
    assert_eq!(packet, b"three");
    assert_ne!(first.port(), second.port());
    assert_eq!(proxy.ports(), [second.port()]);
    edge.send_to(b"lost", first).await.unwrap();
    edge.send_to(b"four", second).await.unwrap();
    assert_eq!(receive(&client).await.0, b"four");
    assert_eq!(proxy.counts(), Counts { up: 2, down: 2, ..Counts::default() });
}

#[tokio::test]
async fn a_blocked_proxy_drops_what_comes_and_what_is_on_its_way() {
    let (proxy, edge, client) = pair().await;
    proxy.shape(Some(Shape { bytes_per_second: 1_000_000, delay: Duration::from_millis(50), queue: 10_000 }));
    client.send(b"on its way").await.unwrap();
    let seen = crate::eventually("the packet to be taken", || async { proxy.clients().pop() });
    seen.await;
    proxy.block();
    client.send(b"too late").await.unwrap();
    crate::eventually("two drops", || async { (proxy.counts().blocked == 2).then_some(()) }).await;
    proxy.unblock();
    proxy.shape(None);
    client.send(b"free").await.unwrap();
    assert_eq!(receive(&edge).await.0, b"free");
}

#[tokio::test]
async fn a_narrow_road_takes_its_time_and_drops_the_tail() {
    let (proxy, edge, client) = pair().await;
    proxy.shape(Some(Shape { bytes_per_second: 10_000, delay: Duration::from_millis(20), queue: 1_000 }));
    let started = Instant::now();
    for index in 0..20 {
        client.send(&[index; 100]).await.unwrap();
    }
    // The first ten fill the road; what little leaves it meanwhile lets one or the other of the rest in.
    for index in 0..10 {
        assert_eq!(receive(&edge).await.0, [index; 100]);
    }
    assert!(started.elapsed() >= Duration::from_millis(20 + 100), "{:?}", started.elapsed());
    crate::eventually("all twenty to be accounted for", || async {
        let Counts { up, overflowed, .. } = proxy.counts();
        (up + overflowed == 20 && overflowed > 0).then_some(())
    })
    .await;
}

#[tokio::test]
async fn the_end_of_the_handle_is_the_end_of_the_sockets() {
    let (proxy, edge, client) = pair().await;
    client.send(b"one").await.unwrap();
    let (_, source) = receive(&edge).await;
    let addresses = [proxy.address(), source];
    drop(proxy);
    for address in addresses {
        crate::eventually("the port to be free", || async { UdpSocket::bind(address).await.ok() }).await;
    }
}

#[test]
fn a_road_counts_what_waits() {
    let mut road = Road::new(Shape { bytes_per_second: 1000, delay: Duration::from_millis(20), queue: 250 });
    let now = Instant::now();
    let millis = |millis| Duration::from_millis(millis);
    assert_eq!(road.admit(now, 100), Some(now + millis(120)));
    assert_eq!(road.admit(now, 100), Some(now + millis(220)));
    assert_eq!(road.admit(now, 100), None);
    assert_eq!(road.admit(now, 50), Some(now + millis(270)));
    let later = now + millis(100);
    assert_eq!(road.admit(later, 100), Some(later + millis(270)));
    assert_eq!(road.admit(now + millis(5000), 250), Some(now + millis(5270)));
}
