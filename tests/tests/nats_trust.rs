//! How a process and a NATS cluster come to believe each other: passwords, tokens, keys, files of credentials, and TLS.

#![allow(clippy::unwrap_used, reason = "in a test, a panic is the report")]

use atoll_tests::Edge;
use atoll_tests::nats::NatsServer;
use data_encoding::BASE64URL_NOPAD;
use nkeys::KeyPair;
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa};
use serde_json::{Value, json};
use std::path::Path;
use std::time::{Duration, SystemTime};

/// Whether an edge that is configured so is connected when it has started.
async fn gets_in(nats: &str) -> bool {
    let edge = Edge::start_configured(&format!("[nats]\n{nats}\n")).await;
    edge.status().await["nats"]["connected"] == true
}

#[tokio::test(flavor = "multi_thread")]
async fn a_user_and_a_token() {
    let server = NatsServer::start_with("authorization { user: me, password: secret }").await;
    let url = format!("url = ['{}']", server.url());
    assert!(gets_in(&format!("{url}\nuser = 'me'\npassword = 'secret'")).await);
    assert!(gets_in(&format!("url = ['nats://me:secret@{}']", server.address())).await);
    assert!(!gets_in(&format!("{url}\nuser = 'me'\npassword = 'guess'")).await);
    assert!(!gets_in(&url).await);

    let server = NatsServer::start_with("authorization { token: t0ken }").await;
    let url = format!("url = ['{}']", server.url());
    assert!(gets_in(&format!("{url}\ntoken = 't0ken'")).await);
    assert!(!gets_in(&format!("{url}\ntoken = 'other'")).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_nkey() {
    let (known, other) = (KeyPair::new_user(), KeyPair::new_user());
    let configuration = format!("authorization {{ users: [ {{ nkey: {} }} ] }}", known.public_key());
    let server = NatsServer::start_with(&configuration).await;
    let nats = |key: &KeyPair| format!("url = ['{}']\nnkey = '{}'", server.url(), key.seed().unwrap());
    assert!(gets_in(&nats(&known)).await);
    assert!(!gets_in(&nats(&other)).await);
    let garbage = refusal(&format!("url = ['{}']\nnkey = 'SUGARBAGE'", server.url())).await;
    assert!(garbage.contains("nats.nkey is no seed of an nkey") && !garbage.contains("SUGARBAGE"), "{garbage}");
    let refused = Edge::refused(&["--nats", &server.url(), "--config", "/nowhere"]).await;
    assert!(refused.contains("/nowhere: cannot be read"), "{refused}");
}

/// A JWT as the cluster's operator, or an account, gives it.
fn jwt(issuer: &KeyPair, subject: &KeyPair, name: &str, nats: &Value) -> String {
    let issued = SystemTime::UNIX_EPOCH.elapsed().unwrap() - Duration::from_secs(60);
    let claims = json!({
        "jti": name, "iat": issued.as_secs(), "iss": issuer.public_key(), "name": name, "sub": subject.public_key(),
        "nats": nats,
    });
    let encoded = |value: &Value| BASE64URL_NOPAD.encode(value.to_string().as_bytes());
    let signed = format!("{}.{}", encoded(&json!({ "typ": "JWT", "alg": "ed25519-nkey" })), encoded(&claims));
    let signature = BASE64URL_NOPAD.encode(&issuer.sign(signed.as_bytes()).unwrap());
    format!("{signed}.{signature}")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_of_credentials() {
    let (operator, account, user) = (KeyPair::new_operator(), KeyPair::new_account(), KeyPair::new_user());
    let limits = json!({
        "subs": -1, "data": -1, "payload": -1, "imports": -1, "exports": -1, "wildcards": true, "conn": -1, "leaf": -1,
    });
    let of_operator = jwt(&operator, &operator, "operator", &json!({ "type": "operator", "version": 2 }));
    let account_claims =
        json!({ "limits": limits, "default_permissions": { "pub": {}, "sub": {} }, "type": "account", "version": 2 });
    let of_account = jwt(&operator, &account, "account", &account_claims);
    let user_claims =
        json!({ "pub": {}, "sub": {}, "subs": -1, "data": -1, "payload": -1, "type": "user", "version": 2 });
    let of_user = jwt(&account, &user, "user", &user_claims);
    let configuration = format!(
        "operator: \"FOLDER/operator.jwt\"\nresolver: MEMORY\nresolver_preload: {{ {}: {of_account} }}",
        account.public_key()
    );
    let server = NatsServer::prepared(&configuration, |folder| {
        std::fs::write(folder.join("operator.jwt"), of_operator).unwrap();
        let seed = user.seed().unwrap();
        let credentials = format!(
            "-----BEGIN NATS USER JWT-----\n{of_user}\n------END NATS USER JWT------\n\n\
             -----BEGIN USER NKEY SEED-----\n{seed}\n------END USER NKEY SEED------\n"
        );
        std::fs::write(folder.join("atoll.creds"), credentials).unwrap();
    })
    .await;
    let file = server.folder().join("atoll.creds");
    let url = format!("url = ['{}']", server.url());
    assert!(gets_in(&format!("{url}\ncredentials = '{}'", file.display())).await);
    assert!(!gets_in(&url).await);
    let refused = refusal(&format!("{url}\ncredentials = '/nowhere/atoll.creds'")).await;
    assert!(refused.contains("cannot use /nowhere/atoll.creds for NATS"), "{refused}");
}

/// What an edge says that does not start with such a configuration.
async fn refusal(nats: &str) -> String {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("atoll.toml");
    std::fs::write(&file, format!("[nats]\n{nats}\n")).unwrap();
    Edge::refused(&["--config", file.to_str().unwrap()]).await
}

/// Writes an authority, a server's certificate from it, and a client's.
fn certify(folder: &Path) {
    let mut params = CertificateParams::default();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let authority = CertifiedIssuer::self_signed(params, rcgen::KeyPair::generate().unwrap()).unwrap();
    std::fs::write(folder.join("roots.pem"), authority.pem()).unwrap();
    for name in ["server", "client"] {
        let key = rcgen::KeyPair::generate().unwrap();
        let params = CertificateParams::new(vec!["127.0.0.1".to_owned(), "localhost".to_owned()]).unwrap();
        std::fs::write(folder.join(format!("{name}.pem")), params.signed_by(&key, &authority).unwrap().pem()).unwrap();
        std::fs::write(folder.join(format!("{name}.key")), key.serialize_pem()).unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn tls_with_and_without_a_certificate_of_ones_own() {
    let tls = "tls { cert_file: \"FOLDER/server.pem\", key_file: \"FOLDER/server.key\", ca_file: \"FOLDER/roots.pem\"";
    let server = NatsServer::prepared(&format!("{tls} }}"), certify).await;
    let roots = format!("roots = '{}'", server.folder().join("roots.pem").display());
    let url = format!("url = ['tls://{}']", server.address());
    assert!(gets_in(&format!("{url}\n{roots}")).await);
    assert!(!gets_in(&url).await, "nobody vouches for the server");

    let server = NatsServer::prepared(&format!("{tls}, verify: true }}"), certify).await;
    let at = |name: &str| server.folder().join(name).display().to_string();
    let with_roots = format!("url = ['tls://{}']\nroots = '{}'", server.address(), at("roots.pem"));
    let own = format!("certificate = '{}'\nkey = '{}'", at("client.pem"), at("client.key"));
    assert!(gets_in(&format!("{with_roots}\n{own}")).await);
    assert!(!gets_in(&with_roots).await, "the server wants to know who comes");
}
