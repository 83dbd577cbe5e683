//! Taking TCP connections in and serving them, each for a bounded time of silence.

use axum::Router;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinSet;

/// How long a connection may be silent before a request, and take to send its head.
const SILENCE: Duration = Duration::from_secs(5);

/// Connections served at the same time; more wait to be accepted. Far below the usual limit of 1,024 open files.
const MAX_CONNECTIONS: usize = 256;

/// Serves `app` until `ending` says so, then waits for the answers under way.
pub(super) async fn serve(listener: TcpListener, app: Router, mut ending: watch::Receiver<bool>) {
    let places = Arc::new(Semaphore::new(MAX_CONNECTIONS));
    let mut connections = JoinSet::new();
    loop {
        // Never closed, so that there is always a permit to come.
        let Ok(place) = Arc::clone(&places).acquire_owned().await else { return };
        let stream = tokio::select! {
            accepted = listener.accept() => accepted,
            Some(_) = connections.join_next() => continue,
            () = told(&mut ending) => break,
        };
        match stream {
            Ok((stream, _)) => {
                let (app, ending) = (app.clone(), ending.clone());
                connections.spawn(async move {
                    let _place = place;
                    converse(stream, app, ending).await;
                });
            }
            // Out of files, or a client that has gone: others will come.
            Err(error) => {
                tracing::warn!("cannot accept a TCP connection: {error}");
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        }
    }
    // Who comes now is better told at once that nobody listens.
    drop(listener);
    while connections.join_next().await.is_some() {}
}

async fn converse(stream: TcpStream, app: Router, mut ending: watch::Receiver<bool>) {
    let service = TowerToHyperService::new(app);
    let mut builder = http1::Builder::new();
    let connection = builder.timer(TokioTimer::new()).header_read_timeout(SILENCE);
    let connection = connection.serve_connection(TokioIo::new(stream), service);
    let mut connection = std::pin::pin!(connection);
    let served = tokio::select! {
        served = connection.as_mut() => served,
        () = told(&mut ending) => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    if let Err(error) = served {
        tracing::debug!("an HTTP connection ended: {error}");
    }
}

/// Waits until `ending` says so, or nobody is left to say it.
async fn told(ending: &mut watch::Receiver<bool>) {
    let _ = ending.wait_for(|ending| *ending).await;
}
