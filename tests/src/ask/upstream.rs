//! A real HTTP server beside the edge: what the edge asks of others, a test answers.

use serde_json::Value;
use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::AbortHandle;

/// A server on a free loopback port. It answers what it was told to, and 404 otherwise; dropping it ends it.
pub struct Upstream {
    url: String,
    shared: Arc<Shared>,
    serving: AbortHandle,
}

#[derive(Default)]
struct Shared {
    pages: Mutex<HashMap<String, (u16, String)>>,
    asked: Mutex<Vec<Asked>>,
}

/// A request that came.
#[derive(Debug, Clone)]
pub struct Asked {
    /// Method and path: `POST /content/entities/active`.
    pub what: String,
    /// The body as JSON; `null` when it is none.
    pub body: Value,
    /// The body as it came.
    pub bytes: Vec<u8>,
    head: String,
}

impl Asked {
    /// The value of a header, if it was there; its name in lower case.
    pub fn header(&self, name: &str) -> Option<&str> {
        let lines = self.head.lines().filter_map(|line| line.split_once(": "));
        lines.filter(|(known, _)| known.eq_ignore_ascii_case(name)).map(|(_, value)| value).next()
    }
}

impl Upstream {
    /// Starts to listen.
    pub async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a loopback port");
        let url = format!("http://{}", listener.local_addr().expect("its address"));
        let shared = Arc::<Shared>::default();
        let serving = tokio::spawn(serve(listener, Arc::clone(&shared))).abort_handle();
        Self { url, shared, serving }
    }

    /// `http://127.0.0.1:<port>`.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Answers `what`, a method and a path, with `status` and `body` from now on.
    pub fn answer(&self, what: &str, status: u16, body: &Value) {
        lock(&self.shared.pages).insert(what.to_owned(), (status, body.to_string()));
    }

    /// The requests for `what` so far.
    pub fn asked(&self, what: &str) -> Vec<Asked> {
        lock(&self.shared.asked).iter().filter(|asked| asked.what == what).cloned().collect()
    }
}

impl Drop for Upstream {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

async fn serve(listener: TcpListener, shared: Arc<Shared>) {
    while let Ok((stream, _)) = listener.accept().await {
        let shared = Arc::clone(&shared);
        // Whoever hangs up has had enough.
        tokio::spawn(async move { converse(stream, &shared).await.ok() });
    }
}

/// One request, one answer.
async fn converse(stream: TcpStream, shared: &Shared) -> std::io::Result<()> {
    let mut stream = BufReader::new(stream);
    let mut head = String::new();
    while !head.ends_with("\r\n\r\n") {
        if stream.read_line(&mut head).await? == 0 {
            return Ok(());
        }
    }
    let length = head.lines().find_map(|line| line.to_lowercase().strip_prefix("content-length: ")?.parse().ok());
    let mut body = vec![0; length.unwrap_or(0)];
    stream.read_exact(&mut body).await?;
    let what = head.split(' ').take(2).collect::<Vec<_>>().join(" ");
    let answer = lock(&shared.pages).get(&what).cloned();
    let json = serde_json::from_slice(&body).unwrap_or_default();
    lock(&shared.asked).push(Asked { what, body: json, bytes: body, head });
    let (status, body) = answer.unwrap_or((404, "nothing here".to_owned()));
    let head = format!("HTTP/1.1 {status} Any\r\ncontent-length: {}\r\nconnection: close\r\n\r\n", body.len());
    stream.write_all(head.as_bytes()).await?;
    stream.write_all(body.as_bytes()).await?;
    stream.shutdown().await
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().expect("no test fails while it holds this")
}
