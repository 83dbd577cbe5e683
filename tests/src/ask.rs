//! HTTP requests as they are written, for what [`Edge::get`](crate::Edge::get) does not say: methods, headers, where from. And
//! what the edge itself asks: see [`Upstream`].

mod upstream;

pub use upstream::{Asked, Upstream};

use crate::within;
use anyhow::Context;
use serde_json::Value;
use std::net::{Ipv4Addr, SocketAddr};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpSocket;

/// What was answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// The status code.
    pub status: u16,
    /// Names in lower case, and values.
    pub headers: Vec<(String, String)>,
    /// The body.
    pub body: String,
}

impl Answer {
    /// The value of a header, if it is there.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    /// The body as JSON.
    ///
    /// # Panics
    /// When it is none.
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|_| panic!("no JSON: {self:?}"))
    }
}

/// Asks the edge at `http` (`http://<address>`) on a connection of its own.
///
/// # Panics
/// When there is no answer in time.
pub async fn ask(http: &str, method: &str, path: &str, headers: &[(&str, &str)]) -> Answer {
    ask_from(Ipv4Addr::LOCALHOST, http, method, path, headers).await
}

/// The same from another loopback address.
///
/// # Panics
/// When there is no answer in time.
pub async fn ask_from(from: Ipv4Addr, http: &str, method: &str, path: &str, headers: &[(&str, &str)]) -> Answer {
    within("an HTTP answer", converse(from, http, method, path, headers)).await.expect("an HTTP answer")
}

async fn converse(
    from: Ipv4Addr,
    http: &str,
    method: &str,
    path: &str,
    headers: &[(&str, &str)],
) -> anyhow::Result<Answer> {
    let to: SocketAddr = http.strip_prefix("http://").context("an http URL")?.parse()?;
    let socket = TcpSocket::new_v4()?;
    socket.bind((from, 0).into())?;
    let mut stream = socket.connect(to).await?;
    let mut request = format!("{method} {path} HTTP/1.1\r\nhost: {to}\r\nconnection: close\r\n");
    headers.iter().for_each(|(name, value)| request.push_str(&format!("{name}: {value}\r\n")));
    stream.write_all(format!("{request}\r\n").as_bytes()).await?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await?;
    let (head, body) = answer.split_once("\r\n\r\n").context("a head and a body")?;
    let (first, lines) = head.split_once("\r\n").context("a status line and headers")?;
    let status = first.split(' ').nth(1).context("a status")?.parse()?;
    let headers = lines.lines().filter_map(|line| line.split_once(": "));
    let headers = headers.map(|(name, value)| (name.to_lowercase(), value.to_owned())).collect();
    Ok(Answer { status, headers, body: body.to_owned() })
}
