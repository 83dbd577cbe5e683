//! Which certificates the Rust client and `atoll bots` believe: of authorities, by roots and by the system's; of anybody, by
//! their digest; and both at once behind a proxy.

#![allow(clippy::unwrap_used, reason = "in a test, a panic is the report")]

use atoll_client::{
    CertificateDigest, Client, ConnectError, Discovery, DiscoveryError, Doors, Options, Target, Trust, Wallet, Way,
};
use atoll_tests::{Edge, binary, within};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use rustls::ServerConfig;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use serde_json::Value;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use tempfile::TempDir;
use tokio::io::copy_bidirectional;
use tokio::net::{TcpListener, TcpStream};
use tokio::process::Command;
use tokio_rustls::TlsAcceptor;

const HERE: [&str; 2] = ["localhost", "127.0.0.1"];

/// An authority that no system knows, and the certificate it gave to a server.
struct Authority {
    directory: TempDir,
    certificate: String,
    key: String,
}

impl Authority {
    fn certifying(names: &[&str]) -> Self {
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let authority = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
        let names: Vec<_> = names.iter().copied().map(str::to_owned).collect();
        let key = KeyPair::generate().unwrap();
        let certificate = CertificateParams::new(names).unwrap().signed_by(&key, &authority).unwrap();
        let this =
            Self { directory: tempfile::tempdir().unwrap(), certificate: certificate.pem(), key: key.serialize_pem() };
        this.write("roots.pem", &authority.pem());
        this.write("chain.pem", &this.certificate);
        this.write("key.pem", &this.key);
        this
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    fn write(&self, name: &str, text: &str) {
        std::fs::write(self.path(name), text).unwrap();
    }

    fn trust(&self) -> Trust {
        Trust::pem_file(&self.path("roots.pem")).unwrap()
    }

    /// An edge that shows the server's certificate at all its doors.
    async fn edge(&self) -> Edge {
        let [certificate, key] = ["chain.pem", "key.pem"].map(|name| self.path(name).to_str().unwrap().to_owned());
        Edge::start_with(&["--tls-certificate", &certificate, "--tls-key", &key]).await
    }

    /// A proxy at `listener` that shows the server's certificate and passes on what it hears to `edge`, without TLS.
    fn proxy(&self, listener: TcpListener, edge: SocketAddr) {
        let certificate = CertificateDer::from_pem_slice(self.certificate.as_bytes()).unwrap();
        let key = PrivateKeyDer::from_pem_slice(self.key.as_bytes()).unwrap();
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let config = ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
        let config = config.with_no_client_auth().with_single_cert(vec![certificate], key).unwrap();
        let acceptor = TlsAcceptor::from(Arc::new(config));
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let acceptor = acceptor.clone();
                tokio::spawn(async move {
                    let mut outside = acceptor.accept(stream).await?;
                    let mut inside = TcpStream::connect(edge).await?;
                    copy_bidirectional(&mut outside, &mut inside).await
                });
            }
        });
    }
}

fn https(edge: &Edge) -> String {
    edge.http().replace("http://", "https://")
}

async fn digest(edge: &Edge) -> CertificateDigest {
    edge.get("/certificate.sha256").await.1.parse().unwrap()
}

async fn login(target: Target, options: &Options) -> Result<Way, ConnectError> {
    let client = within("a login", Client::connect(&target, &Wallet::random().unwrap(), options)).await?;
    Ok(client.way().unwrap())
}

/// Logs in by every way of an edge that was found by https, the WebSocket over TLS.
async fn enter(edge: &Edge, found: &Discovery) {
    let doors = Doors::from(found);
    let websocket = Target::websocket(&https(edge)).unwrap();
    assert_eq!(websocket.url.scheme(), "wss");
    for target in [doors.quic.unwrap(), doors.webtransport.unwrap(), websocket] {
        let way = target.way;
        assert_eq!(login(target, &found.options()).await.unwrap(), way);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_edge_with_the_certificate_of_an_authority_is_reached_by_its_roots() {
    let authority = Authority::certifying(&HERE);
    let edge = authority.edge().await;
    let found = Discovery::trusting(&https(&edge), authority.trust()).await.unwrap();
    assert_eq!(found.certificate, None, "a certificate of authorities is not pinned");
    enter(&edge, &found).await;
    // Asked without TLS, it is the doors where the certificate is looked at.
    enter(&edge, &Discovery::trusting(edge.http(), authority.trust()).await.unwrap()).await;

    let unknown = Discovery::of(&https(&edge)).await;
    // A system without any roots says so instead.
    assert!(matches!(unknown, Err(DiscoveryError::Tls(_) | DiscoveryError::Setup(_))), "{unknown:?}");
    let stranger = Authority::certifying(&HERE);
    let other = Discovery::trusting(&https(&edge), stranger.trust()).await;
    assert!(matches!(other, Err(DiscoveryError::Tls(_))), "{other:?}");
    let found = Discovery::trusting(edge.http(), stranger.trust()).await.unwrap();
    let target = Doors::from(&found).quic.unwrap();
    assert!(matches!(login(target, &found.options()).await, Err(ConnectError::Closed(_))));
}

#[tokio::test(flavor = "multi_thread")]
async fn roots_ask_for_the_name_and_a_digest_does_not() {
    let authority = Authority::certifying(&["edge.example"]);
    let edge = authority.edge().await;
    let elsewhere = Discovery::trusting(&https(&edge), authority.trust()).await;
    assert!(matches!(elsewhere, Err(DiscoveryError::Tls(_))), "{elsewhere:?}");
    let pinned = Trust::CertificateSha256(digest(&edge).await);
    enter(&edge, &Discovery::trusting(&https(&edge), pinned).await.unwrap()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_certificate_that_signed_itself_is_believed_by_its_digest_or_as_its_own_root() {
    let edge = Edge::start().await;
    let unknown = Discovery::of(&https(&edge)).await;
    // A system without any roots says so instead.
    assert!(matches!(unknown, Err(DiscoveryError::Tls(_) | DiscoveryError::Setup(_))), "{unknown:?}");
    let pinned = Trust::CertificateSha256(digest(&edge).await);
    enter(&edge, &Discovery::trusting(&https(&edge), pinned).await.unwrap()).await;
    let own = Trust::pem_file(&edge.state_dir().join("development.pem")).unwrap();
    enter(&edge, &Discovery::trusting(&https(&edge), own).await.unwrap()).await;
    let wrong = Trust::CertificateSha256(CertificateDigest([0; 32]));
    let wrong = Discovery::trusting(&https(&edge), wrong).await;
    assert!(matches!(wrong, Err(DiscoveryError::Tls(_))), "{wrong:?}");
}

/// Three walkers, one by each way: whether all joined, and what was said on standard error.
async fn bots(url: &str, arguments: &[&str], system_roots: Option<PathBuf>) -> (bool, String) {
    let mut command = Command::new(binary());
    command.env_clear().args(["bots", "--count", "3", "--duration", "2", "--json", "--url", url]).args(arguments);
    command.envs(system_roots.map(|path| ("SSL_CERT_FILE", path)));
    let output = within("the bots", command.kill_on_drop(true).output()).await.unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    let joined = serde_json::from_slice(&output.stdout).is_ok_and(|summary: Value| summary["joined"] == 3);
    (joined, said)
}

#[tokio::test(flavor = "multi_thread")]
async fn bots_believe_what_the_system_does_or_what_they_are_told_to() {
    let authority = Authority::certifying(&HERE);
    let edge = authority.edge().await;
    let url = https(&edge);
    let roots = authority.path("roots.pem");
    let by_system = bots(&url, &[], Some(roots.clone())).await;
    assert!(by_system.0, "{}", by_system.1);
    let by_file = bots(&url, &["--trust", roots.to_str().unwrap()], None).await;
    assert!(by_file.0, "{}", by_file.1);
    let by_digest = bots(&url, &["--trust", &digest(&edge).await.to_string()], None).await;
    assert!(by_digest.0, "{}", by_digest.1);
    let stranger = Authority::certifying(&HERE);
    let (joined, said) = bots(&url, &[], Some(stranger.path("roots.pem"))).await;
    assert!(!joined && said.contains(&format!("no edge at {url} (--trust says")), "{said}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_proxy_may_show_another_certificate_than_the_edge_does() {
    let authority = Authority::certifying(&HERE);
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("https://{}", listener.local_addr().unwrap());
    let edge = Edge::start_with(&["--public-http-url", &url]).await;
    authority.proxy(listener, edge.http().strip_prefix("http://").unwrap().parse().unwrap());
    let (joined, said) = bots(&url, &[], Some(authority.path("roots.pem"))).await;
    assert!(joined, "{said}");
}
