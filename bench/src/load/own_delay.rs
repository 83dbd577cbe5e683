//! How late the load itself notices what has come.

use super::Ages;
use std::net::Ipv4Addr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::net::UdpSocket;
use tokio::task::AbortHandle;
use tokio::time::Instant;

/// Time between two datagrams: many in the shortest of measurements, few beside what the clients hear.
const BETWEEN: Duration = Duration::from_millis(3);

/// A socket that sends datagrams to itself, on the load's thread. What lies between sending and hearing one is the load's
/// own delay: an update waits behind the same work, and then some more.
#[derive(Debug)]
pub struct OwnDelay {
    ages: Arc<Mutex<Ages>>,
    tasks: [AbortHandle; 2],
}

impl OwnDelay {
    /// Begins.
    ///
    /// # Errors
    /// When there is no socket.
    pub async fn start() -> anyhow::Result<Self> {
        let socket = Arc::new(UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).await?);
        socket.connect(socket.local_addr()?).await?;
        let (ages, started) = (Arc::<Mutex<Ages>>::default(), Instant::now());
        let (sender, record) = (Arc::clone(&socket), Arc::clone(&ages));
        let sending = tokio::spawn(async move {
            let mut ticks = tokio::time::interval(BETWEEN);
            loop {
                ticks.tick().await;
                // A full queue is heard of as a gap, not as an age.
                let _ = sender.send(&started.elapsed().as_micros().to_be_bytes()).await;
            }
        });
        let hearing = tokio::spawn(async move {
            let mut sent = [0; 16];
            while socket.recv(&mut sent).await.is_ok() {
                let sent = Duration::from_micros(u128::from_be_bytes(sent) as u64);
                record.lock().unwrap_or_else(PoisonError::into_inner).record(started.elapsed().saturating_sub(sent));
            }
        });
        Ok(Self { ages, tasks: [sending.abort_handle(), hearing.abort_handle()] })
    }

    /// The delays since the last call for them.
    pub fn take(&self) -> Ages {
        std::mem::take(&mut self.ages.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Drop for OwnDelay {
    fn drop(&mut self) {
        self.tasks.iter().for_each(AbortHandle::abort);
    }
}
