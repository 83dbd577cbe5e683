//! A proxy before the edge ends TCP without a WebSocket close, as one that restarts does: that is a loss, not an end.

#![allow(clippy::unwrap_used, reason = "in a test, a panic is the report")]

use atoll_client::{Client, Discovery, Doors, Event, Position, Target, Wallet};
use atoll_tests::{Edge, Peer, within};
use std::sync::Arc;
use tokio::io::AsyncWriteExt;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Notify;

/// Forwards TCP to `edge`; the first connection's way to it is closed in order when `close` is told.
async fn forward(listener: TcpListener, edge: String, close: Arc<Notify>) {
    let mut first = Some(close);
    while let Ok((client, _)) = listener.accept().await {
        let server = TcpStream::connect(&edge).await.unwrap();
        let close = first.take();
        tokio::spawn(async move {
            let (mut from_client, mut to_client) = client.into_split();
            let (mut from_server, mut to_server) = server.into_split();
            let up = async {
                let closed = async {
                    match &close {
                        Some(close) => close.notified().await,
                        None => std::future::pending().await,
                    }
                };
                tokio::select! {
                    _ = tokio::io::copy(&mut from_client, &mut to_server) => {}
                    () = closed => {}
                }
                to_server.shutdown().await
            };
            let down = async {
                let _ = tokio::io::copy(&mut from_server, &mut to_client).await;
                to_client.shutdown().await
            };
            let _ = tokio::join!(up, down);
        });
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_goes_on_when_tcp_ends_without_a_close() {
    let edge = Edge::start().await;
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let close = Arc::new(Notify::new());
    let behind = edge.http().strip_prefix("http://").unwrap().to_owned();
    let proxy = tokio::spawn(forward(listener, behind, Arc::clone(&close)));

    let found = Discovery::of(edge.http()).await.unwrap();
    let target = Target::websocket(&format!("http://{address}")).unwrap();
    let doors = Doors { webtransport: None, quic: None, websocket: Some(target) };
    let wallet = Wallet::random().unwrap();
    let client = within("a login", Client::connect(&doors, &wallet, &found.options())).await.unwrap();
    let mut peer = Peer::new(client);
    peer.heartbeat(Position { x: 8.0, y: 0.0, z: 8.0 });
    let before = peer.seated(1).await;

    close.notify_one();
    within("the session to go on", async {
        loop {
            match peer.next_event().await {
                Event::Resumed { .. } => return,
                other => assert!(!matches!(other, Event::Restarted { .. } | Event::Closed(_)), "{other:?}"),
            }
        }
    })
    .await;
    let after = peer.seated(1).await;
    assert_eq!((before.tag, before.alias), (after.tag, after.alias));
    proxy.abort();
}
