//! LiveKit's server API, by hand.

use super::token::{API_KEY, API_SECRET, now, signed};
use crate::within;
use anyhow::Context;
use prost::Message;
use serde_json::{Value, json};
use std::net::SocketAddr;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// A program that calls the API with one token.
pub struct Api {
    http: String,
    token: String,
}

impl Api {
    /// One whose token has these video grants.
    pub fn granted(http: &str, video: Value) -> Self {
        Self::with(http, &signed(&json!({ "iss": API_KEY, "exp": now() + 300, "video": video }), API_SECRET))
    }

    /// One with any token; an empty one is not sent.
    pub fn with(http: &str, token: &str) -> Self {
        Self { http: http.to_owned(), token: token.to_owned() }
    }

    /// Calls a method of the RoomService in JSON: the status and the answer.
    ///
    /// # Panics
    /// When there is no answer in time, or no JSON.
    pub async fn call(&self, method: &str, request: Value) -> (u16, Value) {
        let path = format!("/twirp/livekit.RoomService/{method}");
        let (status, body) = self.post("POST", &path, "application/json", request.to_string().as_bytes()).await;
        (status, serde_json::from_slice(&body).unwrap_or_else(|_| panic!("no JSON: {body:?}")))
    }

    /// The same, of a call that is not refused.
    ///
    /// # Panics
    /// When it is.
    pub async fn does(&self, method: &str, request: Value) -> Value {
        let (status, answer) = self.call(method, request).await;
        assert_eq!(status, 200, "{method}: {answer}");
        answer
    }

    /// The same, of one that is: the status and Twirp's code.
    ///
    /// # Panics
    /// When it is not.
    pub async fn is_refused(&self, method: &str, request: Value) -> (u16, String) {
        let (status, answer) = self.call(method, request).await;
        assert_ne!(status, 200, "{method}: {answer}");
        (status, answer["code"].as_str().unwrap_or_default().to_owned())
    }

    /// Calls a method in protobuf, which is not refused.
    ///
    /// # Panics
    /// When it is.
    pub async fn says<M: Message + Default>(&self, method: &str, request: &impl Message) -> M {
        let path = format!("/twirp/livekit.RoomService/{method}");
        let (status, body) = self.post("POST", &path, "application/protobuf", &request.encode_to_vec()).await;
        assert_eq!(status, 200, "{method}: {}", String::from_utf8_lossy(&body));
        M::decode(&body[..]).expect("protobuf")
    }

    /// Asks for anything: the status and the body.
    ///
    /// # Panics
    /// When there is no answer in time.
    pub async fn post(&self, method: &str, path: &str, content_type: &str, body: &[u8]) -> (u16, Vec<u8>) {
        within("an answer", self.converse(method, path, content_type, body)).await.expect("an answer")
    }

    async fn converse(
        &self,
        method: &str,
        path: &str,
        content_type: &str,
        body: &[u8],
    ) -> anyhow::Result<(u16, Vec<u8>)> {
        let to: SocketAddr = self.http.strip_prefix("http://").context("an http URL")?.parse()?;
        let mut stream = TcpStream::connect(to).await?;
        let mut head = format!("{method} {path} HTTP/1.1\r\nhost: {to}\r\nconnection: close\r\n");
        head.push_str(&format!("content-type: {content_type}\r\ncontent-length: {}\r\n", body.len()));
        if !self.token.is_empty() {
            head.push_str(&format!("authorization: Bearer {}\r\n", self.token));
        }
        stream.write_all(format!("{head}\r\n").as_bytes()).await?;
        // Who is refused before has the answer all the same.
        let _ = stream.write_all(body).await;
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).await?;
        let end = answer.windows(4).position(|four| four == b"\r\n\r\n").context("a head")?;
        let head = String::from_utf8(answer[..end].to_vec())?;
        let status = head.split(' ').nth(1).context("a status")?.parse()?;
        Ok((status, answer.split_off(end + 4)))
    }
}
