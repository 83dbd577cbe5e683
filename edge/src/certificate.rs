//! The certificate of a running edge: looked after, shown, and counted.

use atoll_certs::{Certificate, Checked, Current, Keeper};
use atoll_core::Counter;
use serde::Serialize;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

/// Time between two looks at the certificate's source.
const INTERVAL: Duration = Duration::from_secs(2);

/// The certificate that every door shows, and what has become of it since the start.
#[derive(Clone)]
pub(crate) struct Shown {
    current: Arc<Current>,
    counts: Arc<Counts>,
}

#[derive(Default)]
struct Counts {
    exchanged: Counter,
    refused: Counter,
}

/// What `/status` says of the certificate.
#[derive(Debug, Serialize)]
pub(crate) struct CertificateStatus {
    /// `development` or `files`.
    pub(crate) kind: String,
    pub(crate) sha256: String,
    /// 0 when it has expired.
    pub(crate) expires_in_seconds: u64,
    /// How often another one has taken its place.
    pub(crate) exchanged: u64,
    /// How often something was found in its place that is of no use.
    pub(crate) refused: u64,
}

impl Shown {
    pub(crate) fn new(current: Arc<Current>) -> Self {
        Self { current, counts: Arc::default() }
    }

    /// What rustls asks for each handshake.
    pub(crate) fn resolver(&self) -> Arc<Current> {
        Arc::clone(&self.current)
    }

    /// The certificate shown now.
    pub(crate) fn certificate(&self) -> Arc<Certificate> {
        self.current.certificate()
    }

    pub(crate) fn status(&self) -> CertificateStatus {
        let certificate = self.certificate();
        CertificateStatus {
            kind: certificate.kind().to_string(),
            sha256: certificate.sha256_hex(),
            expires_in_seconds: certificate.remaining(SystemTime::now()).as_secs(),
            exchanged: self.counts.exchanged.value(),
            refused: self.counts.refused.value(),
        }
    }
}

/// Looks after `shown`, for ever.
pub(crate) async fn look_after(mut keeper: Keeper, shown: Shown) {
    let mut looks = tokio::time::interval(INTERVAL);
    looks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        looks.tick().await;
        // The file system may be slow, or a network's.
        let looked = tokio::task::spawn_blocking(move || {
            let checked = keeper.check(SystemTime::now());
            (keeper, checked)
        });
        let checked = match looked.await {
            Ok((back, checked)) => {
                keeper = back;
                checked
            }
            Err(error) => {
                tracing::error!("the certificate is no longer looked after: {error}");
                return;
            }
        };
        match checked {
            Checked::Unchanged => {}
            Checked::Exchanged => {
                shown.counts.exchanged.add(1);
                tracing::info!(sha256 = shown.certificate().sha256_hex(), "another certificate is shown from now on");
            }
            Checked::Refused(error) => {
                shown.counts.refused.add(1);
                let error = anyhow::Error::new(error);
                tracing::error!("the certificate stays as it is: {error:#}");
            }
        }
    }
}
