//! The TCP port, without a region: TLS and plain, upgrades and their places, whose request it is.

use super::counters::Counters;
use super::serve::{Crowds, Serving, serve};
use super::upgrades::{Upgrades, bound};
use crate::certificate::{Shown, look_after};
use atoll_certs::{Keeper, Source};
use atoll_compat::ClientAddress;
use axum::extract::Request;
use axum::http::{HeaderValue, StatusCode, header};
use axum::middleware::from_fn_with_state;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Extension, Router};
use hyper_util::rt::TokioIo;
use rustls::pki_types::ServerName;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::{Duration, SystemTime};
use tempfile::TempDir;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::sync::watch;
use tokio_rustls::client::TlsStream;
use tokio_rustls::{TlsAcceptor, TlsConnector};

/// A port with two routes: `/who` tells the client's address, `/echo` is upgraded and returns what it is sent.
struct Port {
    address: SocketAddr,
    counters: Arc<Counters>,
    crowds: Crowds,
    shown: Shown,
    keeper: Option<Keeper>,
    _state: TempDir,
    _end: watch::Sender<bool>,
}

impl Port {
    async fn open(upgrades: usize) -> Self {
        Self::made(SystemTime::now(), upgrades).await
    }

    /// With a certificate made at `then`.
    async fn made(then: SystemTime, upgrades: usize) -> Self {
        let state = tempfile::tempdir().unwrap();
        let source = Source::Development { state_dir: state.path().to_owned(), names: Vec::new() };
        let (keeper, _) = Keeper::open(source, then).unwrap();
        let shown = Shown::new(keeper.current());
        let (counters, crowds) = (Arc::new(Counters::default()), Crowds::default());
        let upgrades = Upgrades::new(upgrades, Arc::clone(&counters));
        let app = Router::new().route("/who", get(who)).route("/echo", get(echo));
        let serving = Serving {
            app: app.layer(from_fn_with_state(upgrades, bound)),
            tls: TlsAcceptor::from(Arc::new(super::tls_config(&shown).unwrap())),
            trusted_proxies: vec!["127.0.0.1".parse().unwrap()].into(),
            counters: Arc::clone(&counters),
            crowds: crowds.clone(),
        };
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let address = listener.local_addr().unwrap();
        let (end, ending) = watch::channel(false);
        tokio::spawn(serve(listener, serving, ending));
        Self { address, counters, crowds, shown, keeper: Some(keeper), _state: state, _end: end }
    }

    async fn plain(&self) -> TcpStream {
        TcpStream::connect(self.address).await.unwrap()
    }

    /// From another loopback address, 127.0.0.`host`.
    async fn plain_from(&self, host: u8) -> TcpStream {
        let socket = TcpSocket::new_v4().unwrap();
        socket.bind((Ipv4Addr::new(127, 0, 0, host), 0).into()).unwrap();
        socket.connect(self.address).await.unwrap()
    }

    /// With TLS, believing the certificate shown now and offering `alpn`.
    async fn tls(&self, alpn: &[&str]) -> std::io::Result<TlsStream<TcpStream>> {
        let mut roots = rustls::RootCertStore::empty();
        roots.add(self.shown.certificate().shown().cert[0].clone()).unwrap();
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let config = rustls::ClientConfig::builder_with_provider(provider);
        let config = config.with_safe_default_protocol_versions().unwrap().with_root_certificates(roots);
        let mut config = config.with_no_client_auth();
        config.alpn_protocols = alpn.iter().map(|name| name.as_bytes().to_vec()).collect();
        let name = ServerName::try_from("localhost").unwrap();
        TlsConnector::from(Arc::new(config)).connect(name, self.plain().await).await
    }
}

async fn who(Extension(client): Extension<ClientAddress>) -> String {
    client.0.to_string()
}

async fn echo(mut request: Request) -> Response {
    let upgrade = hyper::upgrade::on(&mut request);
    tokio::spawn(async move {
        let Ok(upgraded) = upgrade.await else { return };
        let (mut reader, mut writer) = tokio::io::split(TokioIo::new(upgraded));
        let _ = tokio::io::copy(&mut reader, &mut writer).await;
    });
    let mut response = StatusCode::SWITCHING_PROTOCOLS.into_response();
    response.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("upgrade"));
    response.headers_mut().insert(header::UPGRADE, HeaderValue::from_static("echo"));
    response
}

/// Sends a GET and reads the answer's head.
async fn ask(stream: &mut (impl AsyncRead + AsyncWrite + Unpin), path: &str, headers: &str) -> String {
    let request = format!("GET {path} HTTP/1.1\r\nhost: localhost\r\n{headers}\r\n");
    stream.write_all(request.as_bytes()).await.unwrap();
    stream.flush().await.unwrap();
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(stream.read_u8().await.unwrap());
    }
    String::from_utf8(head).unwrap()
}

async fn upgraded(stream: &mut (impl AsyncRead + AsyncWrite + Unpin)) -> bool {
    ask(stream, "/echo", "connection: upgrade\r\nupgrade: echo\r\n").await.starts_with("HTTP/1.1 101 ")
}

async fn echoes(stream: &mut (impl AsyncRead + AsyncWrite + Unpin)) {
    stream.write_all(b"over there").await.unwrap();
    stream.flush().await.unwrap();
    let mut heard = [0; 10];
    stream.read_exact(&mut heard).await.unwrap();
    assert_eq!(&heard, b"over there");
}

async fn until(what: &str, condition: impl Fn() -> bool) {
    let waiting = async {
        while !condition() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(20), waiting).await.unwrap_or_else(|_| panic!("{what}"));
}

#[tokio::test]
async fn the_first_byte_tells_tls_from_plain() {
    let port = Port::open(1).await;
    assert!(ask(&mut port.plain().await, "/who", "").await.starts_with("HTTP/1.1 200 "));
    for offered in [&[][..], &["http/1.1"], &["h2", "http/1.1"]] {
        let mut stream = port.tls(offered).await.unwrap();
        assert!(ask(&mut stream, "/who", "").await.starts_with("HTTP/1.1 200 "));
        let agreed = stream.get_ref().1.alpn_protocol().map(<[u8]>::to_vec);
        assert_eq!(agreed, (!offered.is_empty()).then(|| b"http/1.1".to_vec()));
    }
    assert!(port.tls(&["h2"]).await.is_err(), "HTTP/2 is not offered");
    until("the failed handshake is counted", || port.counters.arrivals_failed.value() == 1).await;
}

#[tokio::test]
async fn upgrades_work_with_tls_and_without_and_leave_http_their_place() {
    let port = Port::open(2).await;
    let (mut plain, mut tls) = (port.plain().await, port.tls(&["http/1.1"]).await.unwrap());
    assert!(upgraded(&mut plain).await && upgraded(&mut tls).await);
    until("upgraded connections are none of HTTP's", || port.counters.connections.value() == 0).await;
    echoes(&mut plain).await;
    echoes(&mut tls).await;
}

#[tokio::test]
async fn upgraded_connections_are_bounded_and_give_their_places_back() {
    let port = Port::open(1).await;
    let mut first = port.plain().await;
    assert!(upgraded(&mut first).await);
    let mut second = port.plain().await;
    assert!(!upgraded(&mut second).await);
    assert_eq!(port.counters.upgrades_refused.value(), 1);
    // Others are served all the same.
    assert!(ask(&mut port.plain().await, "/who", "").await.starts_with("HTTP/1.1 200 "));
    echoes(&mut first).await;
    drop(first);
    let third = async {
        loop {
            let mut third = port.plain().await;
            if upgraded(&mut third).await {
                return third;
            }
        }
    };
    let mut third = tokio::time::timeout(Duration::from_secs(20), third).await.expect("the place is given back");
    echoes(&mut third).await;
}

#[tokio::test]
async fn a_place_has_64_connections_a_trusted_proxy_as_many_as_there_are() {
    let port = Port::open(1).await;
    let mut greedy = Vec::new();
    for host in 2..6 {
        for _ in 0..64 {
            let mut stream = port.plain_from(host).await;
            assert!(ask(&mut stream, "/who", "").await.starts_with("HTTP/1.1 200 "));
            greedy.push(stream);
        }
    }
    let mut surplus = port.plain_from(2).await;
    assert_eq!(surplus.read_u8().await.ok(), None, "closed at once");
    assert_eq!((port.counters.refused.value(), port.crowds.evictions()), (1, 0));
    // The proxy, at the cost of others only.
    let mut proxied = Vec::new();
    for _ in 0..100 {
        let mut stream = port.plain().await;
        assert!(ask(&mut stream, "/who", "x-forwarded-for: 192.0.2.9\r\n").await.starts_with("HTTP/1.1 200 "));
        proxied.push(stream);
    }
    assert_eq!((port.counters.refused.value(), port.crowds.evictions()), (1, 100));
    for stream in &mut greedy[..13] {
        let mut rest = String::new();
        stream.read_to_string(&mut rest).await.unwrap();
        assert_eq!(rest, "127.0.0.2", "an answer, and the end: these are the oldest of their place");
    }
    until("no more than may be", || port.counters.connections.value() == 256).await;
    let mut honest = port.plain_from(20).await;
    assert!(ask(&mut honest, "/who", "").await.starts_with("HTTP/1.1 200 "));
    for stream in &mut proxied {
        let mut body = vec![0; "192.0.2.9".len()];
        stream.read_exact(&mut body).await.unwrap();
        assert!(ask(stream, "/who", "").await.starts_with("HTTP/1.1 200 "), "open as before");
    }
}

#[tokio::test]
async fn requests_know_their_client() {
    let port = Port::open(1).await;
    for (headers, client) in [
        ("", "127.0.0.1"),
        ("x-forwarded-for: 192.0.2.9\r\n", "192.0.2.9"),
        ("x-forwarded-for: 1.2.3.4\r\nX-Forwarded-For: 192.0.2.9\r\n", "192.0.2.9"),
    ] {
        let mut stream = port.plain().await;
        ask(&mut stream, "/who", &format!("{headers}connection: close\r\n")).await;
        let mut body = String::new();
        stream.read_to_string(&mut body).await.unwrap();
        assert_eq!(body, client);
    }
}

#[tokio::test]
async fn the_development_certificate_is_renewed_under_open_connections() {
    // Made twelve days ago, and therefore due.
    let mut port = Port::made(SystemTime::now() - Duration::from_secs(12 * 24 * 3600), 1).await;
    let first = port.shown.certificate().sha256_hex();
    let mut before = port.tls(&["http/1.1"]).await.unwrap();
    assert!(upgraded(&mut before).await);
    let keeper = port.keeper.take().unwrap();
    let keeping = tokio::spawn(look_after(keeper, port.shown.clone()));
    until("another certificate", || port.shown.certificate().sha256_hex() != first).await;
    // It trusts the new one only.
    let mut after = port.tls(&["http/1.1"]).await.unwrap();
    assert!(ask(&mut after, "/who", "").await.starts_with("HTTP/1.1 200 "));
    echoes(&mut before).await;
    let status = port.shown.status();
    assert_eq!((&*status.kind, status.exchanged, status.refused), ("development", 1, 0));
    assert!(status.expires_in_seconds > 13 * 24 * 3600, "{status:?}");
    keeping.abort();
}
