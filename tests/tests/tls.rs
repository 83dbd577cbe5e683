//! Certificates and addresses of the real binary: one for UDP and TCP, followed while it runs, and known after a crash.

#![allow(clippy::unwrap_used, reason = "in a test, a panic is the report")]

use atoll_tests::any_certificate::AnyCertificate;
use atoll_tests::{binary, eventually, within};
use quinn::crypto::rustls::QuicClientConfig;
use rustls::pki_types::ServerName;
use serde_json::Value;
use std::net::{Ipv4Addr, SocketAddr};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Stdio;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt, AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;
use tokio::process::{Child, Command};
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

/// A running edge with what it said at its start.
struct Edge {
    process: Child,
    ready: Value,
    http: SocketAddr,
    quic: SocketAddr,
}

fn command(state: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(binary());
    command.env_clear().args(["serve", "--ready-json", "--state-dir"]).arg(state).args(arguments);
    // Free, too, for those who name the other two.
    command.env("ATOLL_LIVEKIT", "127.0.0.1:0");
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true);
    command
}

impl Edge {
    async fn start(state: &Path, arguments: &[&str]) -> Self {
        let mut process = command(state, arguments).spawn().unwrap();
        let mut lines = BufReader::new(process.stdout.take().unwrap()).lines();
        let line = within("the ready line", lines.next_line()).await.unwrap().expect("a ready line");
        let ready: Value = serde_json::from_str(&line).unwrap();
        let address = |name: &str| ready[name].as_str().unwrap().split_once("://").unwrap().1.parse().unwrap();
        let (http, quic) = (address("http"), address("quic"));
        Self { process, ready, http, quic }
    }

    async fn at_free_ports(state: &Path, arguments: &[&str]) -> Self {
        Self::start(state, &[&["--quic", "127.0.0.1:0", "--http", "127.0.0.1:0"], arguments].concat()).await
    }

    async fn get(&self, path: &str) -> String {
        get(&mut TcpStream::connect(self.http).await.unwrap(), path).await
    }

    async fn about(&self) -> Value {
        serde_json::from_str(&self.get("/about").await).unwrap()
    }

    async fn metric(&self, name: &str) -> u64 {
        let page = self.get("/metrics").await;
        let line = page.lines().find_map(|line| line.strip_prefix(&format!("{name} ")));
        line.unwrap_or_else(|| panic!("{name} is not in {page}")).parse().unwrap()
    }

    /// Connects with TLS and gives the certificate shown, too.
    async fn tls(&self) -> (TlsStream<TcpStream>, String) {
        let seen = Arc::new(AnyCertificate::default());
        let config = seen.client_config(b"http/1.1");
        let stream = TcpStream::connect(self.http).await.unwrap();
        let name = ServerName::from(self.http.ip());
        let stream =
            within("a TLS handshake", TlsConnector::from(Arc::new(config)).connect(name, stream)).await.unwrap();
        (stream, seen.sha256())
    }

    /// Connects with QUIC and gives the certificate shown, too.
    async fn quic(&self, endpoint: &quinn::Endpoint) -> (quinn::Connection, String) {
        let seen = Arc::new(AnyCertificate::default());
        let config = QuicClientConfig::try_from(seen.client_config(b"atoll/1")).unwrap();
        let mut config = quinn::ClientConfig::new(Arc::new(config));
        let mut transport = quinn::TransportConfig::default();
        transport.max_idle_timeout(Some(Duration::from_secs(60).try_into().unwrap()));
        config.transport_config(Arc::new(transport));
        let connecting = endpoint.connect_with(config, self.quic, "localhost").unwrap();
        (within("a QUIC handshake", connecting).await.unwrap(), seen.sha256())
    }

    /// Ends it as a crash does, and gives what it said on standard error.
    async fn kill(mut self) -> String {
        self.process.kill().await.unwrap();
        let mut said = String::new();
        self.process.stderr.take().unwrap().read_to_string(&mut said).await.unwrap();
        said
    }
}

/// The body of a 200, on a connection that stays open.
async fn get(stream: &mut (impl AsyncRead + AsyncWrite + Unpin), path: &str) -> String {
    within("an HTTP answer", async {
        stream.write_all(format!("GET {path} HTTP/1.1\r\nhost: edge.example\r\n\r\n").as_bytes()).await.unwrap();
        stream.flush().await.unwrap();
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            head.push(stream.read_u8().await.unwrap());
        }
        let head = String::from_utf8(head).unwrap().to_lowercase();
        assert!(head.starts_with("http/1.1 200 "), "{head}");
        let length = head.lines().find_map(|line| line.strip_prefix("content-length: ")).expect("a length");
        let mut body = vec![0; length.parse().unwrap()];
        stream.read_exact(&mut body).await.unwrap();
        String::from_utf8(body).unwrap()
    })
    .await
}

fn client_endpoint() -> quinn::Endpoint {
    quinn::Endpoint::client((Ipv4Addr::LOCALHOST, 0).into()).unwrap()
}

/// An operator's files.
struct Files {
    directory: TempDir,
    certificate: String,
    key: String,
}

impl Files {
    fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let path = |name: &str| directory.path().join(name).to_str().unwrap().to_owned();
        let (certificate, key) = (path("chain.pem"), path("key.pem"));
        let files = Self { directory, certificate, key };
        files.renew();
        files
    }

    /// Puts another certificate and key in place.
    fn renew(&self) {
        let made = rcgen::generate_simple_self_signed(vec!["edge.example".to_owned()]).unwrap();
        self.write("chain.pem", &made.cert.pem());
        self.write("key.pem", &made.signing_key.serialize_pem());
    }

    /// As a careful program writes: the whole file at once, for its owner only.
    fn write(&self, name: &str, text: &str) {
        let new = self.directory.path().join("new");
        std::fs::write(&new, text).unwrap();
        std::fs::set_permissions(&new, PermissionsExt::from_mode(0o600)).unwrap();
        std::fs::rename(&new, self.directory.path().join(name)).unwrap();
    }

    fn arguments(&self) -> [&str; 4] {
        ["--tls-certificate", &self.certificate, "--tls-key", &self.key]
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn one_certificate_is_shown_by_tcp_and_udp_and_http_needs_no_tls() {
    let state = tempfile::tempdir().unwrap();
    let edge = Edge::at_free_ports(state.path(), &[]).await;
    let told = edge.get("/certificate.sha256").await;
    let (mut tls, by_tcp) = edge.tls().await;
    let (connection, by_udp) = edge.quic(&client_endpoint()).await;
    assert_eq!((&by_tcp, &by_udp), (&told, &told));
    assert_eq!(edge.ready["certificate_sha256"], told.as_str());
    assert_eq!(edge.about().await["comms"]["atoll"]["certificateSha256"], told.as_str());
    assert_eq!(get(&mut tls, "/health/live").await, "alive");
    assert_eq!(tls.get_ref().1.alpn_protocol(), Some(&b"http/1.1"[..]));
    let left = edge.metric("atoll_certificate_expires_in_seconds").await;
    assert!((13 * 24 * 3600..14 * 24 * 3600).contains(&left), "{left}");
    drop(connection);
}

#[tokio::test(flavor = "multi_thread")]
async fn silence_before_and_within_a_handshake_is_bounded() {
    let state = tempfile::tempdir().unwrap();
    let edge = Edge::at_free_ports(state.path(), &[]).await;
    let ends = |bytes: &'static [u8]| {
        let address = edge.http;
        async move {
            let mut stream = TcpStream::connect(address).await.unwrap();
            stream.write_all(bytes).await.unwrap();
            let started = Instant::now();
            let mut rest = Vec::new();
            // An end and a reset are the same here.
            let _ = within("the end", stream.read_to_end(&mut rest)).await;
            started.elapsed()
        }
    };
    // Nothing, the beginning of a TLS record, the beginning of a request.
    let (silent, half_record, half_request) =
        tokio::join!(ends(b""), ends(b"\x16\x03\x01\x02\x00\x01"), ends(b"GET / HTTP"));
    for took in [silent, half_record, half_request] {
        assert!(took > Duration::from_secs(4) && took < Duration::from_secs(15), "{took:?}");
    }
    // What is not TLS is answered, or refused, as HTTP.
    let took = ends(b"\x15\x03\x01\x00\x02\x01\x00\r\n\r\n").await;
    assert!(took < Duration::from_secs(4), "{took:?}");
    assert!(edge.metric("atoll_http_arrivals_failed_total").await >= 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn files_are_followed_and_no_connection_is_dropped() {
    let (state, files) = (tempfile::tempdir().unwrap(), Files::new());
    let edge = Edge::at_free_ports(state.path(), &files.arguments()).await;
    let about = edge.about().await;
    assert!(about["comms"]["atoll"].get("certificateSha256").is_none(), "a certificate of authorities is not pinned");
    let endpoint = client_endpoint();
    let (mut tls, first) = edge.tls().await;
    let (connection, by_udp) = edge.quic(&endpoint).await;
    assert_eq!((&by_udp, &edge.get("/certificate.sha256").await), (&first, &first));

    files.renew();
    let second = eventually("the new certificate", || async {
        // Also keeps the connection from silence.
        assert_eq!(get(&mut TcpStream::connect(edge.http).await.unwrap(), "/health/live").await, "alive");
        Some(edge.get("/certificate.sha256").await).filter(|hash| *hash != first)
    })
    .await;
    assert_eq!(get(&mut tls, "/certificate.sha256").await, second, "the old connection goes on");
    assert!(connection.close_reason().is_none());
    let (_, by_udp) = edge.quic(&endpoint).await;
    assert_eq!((&by_udp, &edge.tls().await.1), (&second, &second));
    assert_eq!(edge.metric("atoll_certificate_exchanged_total").await, 1);

    files.write("key.pem", "no key");
    eventually("the refusal", || async { (edge.metric("atoll_certificate_refused_total").await == 1).then_some(()) })
        .await;
    assert_eq!(edge.tls().await.1, second, "the last good one stays");
    files.renew();
    let third = eventually("the third certificate", || async {
        Some(edge.get("/certificate.sha256").await).filter(|hash| *hash != second)
    })
    .await;
    assert_eq!(edge.tls().await.1, third);
    let said = edge.kill().await;
    assert_eq!(said.matches("the certificate stays as it is").count(), 1, "{said}");
    assert!(said.contains("holds no private key"), "{said}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_edge_that_was_killed_is_noticed_at_once() {
    let state = tempfile::tempdir().unwrap();
    let edge = Edge::at_free_ports(state.path(), &[]).await;
    let endpoint = client_endpoint();
    let (connection, _) = edge.quic(&endpoint).await;
    // A round trip, so that the handshake is confirmed and all connection ids have been exchanged.
    let (mut send, _receive) = connection.open_bi().await.unwrap();
    send.write_all(&[0]).await.unwrap();
    within("an acknowledgement", async {
        while connection.stats().frame_rx.handshake_done == 0 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    })
    .await;
    let (http, quic) = (edge.http.to_string(), edge.quic.to_string());
    edge.kill().await;
    let again = Edge::start(state.path(), &["--http", &http, "--quic", &quic]).await;
    let spoke = Instant::now();
    // It fails if a probe of the connection's own was first to be told.
    let _ = send.write_all(&[0; 100]).await;
    let why = within("the end of the connection", connection.closed()).await;
    assert_eq!(why, quinn::ConnectionError::Reset);
    assert!(spoke.elapsed() < Duration::from_secs(2), "{:?}", spoke.elapsed());
    let (anew, _) = again.quic(&endpoint).await;
    assert!(anew.close_reason().is_none());
}

#[tokio::test(flavor = "multi_thread")]
async fn the_keys_of_a_state_directory_are_private_and_stay() {
    let state = tempfile::tempdir().unwrap();
    Edge::at_free_ports(state.path(), &[]).await.kill().await;
    let path = state.path().join("quic.keys");
    let keys = std::fs::read(&path).unwrap();
    assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    Edge::at_free_ports(state.path(), &[]).await.kill().await;
    assert_eq!(std::fs::read(&path).unwrap(), keys);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_start_that_finds_its_port_taken_leaves_the_certificate_alone() {
    let state = tempfile::tempdir().unwrap();
    let edge = Edge::at_free_ports(state.path(), &[]).await;
    let path = state.path().join("development.pem");
    let before = std::fs::read(&path).unwrap();
    let (http, quic) = (edge.http.to_string(), edge.quic.to_string());
    for addresses in [["--quic", &*quic, "--http", "127.0.0.1:0"], ["--quic", "127.0.0.1:0", "--http", &*http]] {
        // Other names: it would have to be renewed.
        let arguments = [&addresses[..], &["--public-http-url", "https://other.example"]].concat();
        let output = within("the failed start", command(state.path(), &arguments).output()).await.unwrap();
        let said = String::from_utf8(output.stderr).unwrap();
        assert!(!output.status.success() && output.stdout.is_empty());
        assert_eq!(said.matches("os error").count(), 1, "the system's words stand once: {said}");
        assert!(said.starts_with("atoll: cannot listen on ") && said.trim_end().lines().count() == 1, "{said}");
        assert_eq!(std::fs::read(&path).unwrap(), before);
    }
    assert_eq!(edge.get("/certificate.sha256").await, edge.tls().await.1);
}

#[tokio::test(flavor = "multi_thread")]
async fn keys_that_others_can_read_are_warned_of_or_made_anew() {
    let (state, files) = (tempfile::tempdir().unwrap(), Files::new());
    let said = Edge::at_free_ports(state.path(), &files.arguments()).await.kill().await;
    assert!(!said.contains("warning       others"), "{said}");
    std::fs::set_permissions(&files.key, PermissionsExt::from_mode(0o644)).unwrap();
    let said = Edge::at_free_ports(state.path(), &files.arguments()).await.kill().await;
    assert!(said.contains("warning       others than its owner have access to the private key"), "{said}");

    let first = Edge::at_free_ports(state.path(), &[]).await;
    let hash = first.get("/certificate.sha256").await;
    first.kill().await;
    let path = state.path().join("development.pem");
    std::fs::set_permissions(&path, PermissionsExt::from_mode(0o644)).unwrap();
    let second = Edge::at_free_ports(state.path(), &[]).await;
    assert_ne!(second.get("/certificate.sha256").await, hash);
    assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    let said = second.kill().await;
    assert!(said.contains("renewed (others had access to its key)"), "{said}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_certificate_that_cannot_be_used_ends_the_start() {
    let (state, files) = (tempfile::tempdir().unwrap(), Files::new());
    let other = Files::new();
    let free = ["--quic", "127.0.0.1:0", "--http", "127.0.0.1:0"];
    for (certificate, key, part) in [
        (&*files.certificate, &*other.key, "do not belong together"),
        (&files.certificate, "/nowhere/key.pem", "cannot read /nowhere/key.pem"),
        (&files.key, &files.key, "holds no certificate"),
    ] {
        let arguments = [&free[..], &["--tls-certificate", certificate, "--tls-key", key]].concat();
        let output = within("the failed start", command(state.path(), &arguments).output()).await.unwrap();
        let said = String::from_utf8(output.stderr).unwrap();
        assert!(!output.status.success() && said.contains(part), "{said}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn addresses_handed_out_can_be_dialled() {
    let state = tempfile::tempdir().unwrap();
    let everywhere = ["--quic", "0.0.0.0:0", "--http", "0.0.0.0:0"];
    let edge = Edge::start(state.path(), &everywhere).await;
    assert!(edge.http.ip().is_loopback() && edge.quic.ip().is_loopback(), "{}", edge.ready);
    let atoll = edge.about().await["comms"]["atoll"].take();
    let (http, quic) = (edge.http.port(), edge.quic.port());
    assert_eq!(edge.ready["websocket"], format!("ws://127.0.0.1:{http}/atoll/ws"));
    let public = ["public_http", "public_quic", "public_ips"].map(|name| edge.ready[name].clone());
    assert_eq!(public, [Value::Null, Value::Null, serde_json::json!([])]);
    assert_eq!(atoll["webtransport"], format!("https://edge.example:{quic}/atoll"));
    assert_eq!(atoll["quic"], format!("edge.example:{quic}"));
    assert_eq!(atoll["websocket"], format!("ws://edge.example:{http}/atoll/ws"));
    assert_eq!(
        (&atoll["limits"]["maxOrderedBytes"], &atoll["limits"]["maxLargeBytes"]),
        (&65_536.into(), &1_048_576.into())
    );
    let said = edge.kill().await;
    assert!(said.contains(&format!("map page      http://127.0.0.1:{http}/")), "{said}");
    assert!(said.contains("has no public.http_url") && said.contains("has no public.quic_url"), "{said}");
    assert!(!said.contains('\x1b'), "no colours where no terminal is: {said:?}");
    for row in ["certificate   development, expires in 13 days", "bus", "limits", "udp buffers", "public        none"] {
        assert!(said.contains(&format!("  {row}")), "{row} is not in {said}");
    }

    let public = ["--public-http-url", "https://edge.example", "--public-quic-url", "https://quic.example:8443"];
    let edge = Edge::start(state.path(), &[&everywhere[..], &public].concat()).await;
    assert_eq!(edge.ready["public_http"], "https://edge.example");
    assert_eq!(edge.ready["public_quic"], "https://quic.example:8443");
    let atoll = edge.about().await["comms"]["atoll"].take();
    assert_eq!(atoll["webtransport"], "https://quic.example:8443/atoll");
    assert_eq!(atoll["quic"], "quic.example:8443");
    assert_eq!(atoll["websocket"], "wss://edge.example/atoll/ws");
    let said = edge.kill().await;
    assert!(!said.contains("has no public"), "{said}");
    assert!(said.contains("public        HTTP https://edge.example, QUIC https://quic.example:8443"), "{said}");
}
