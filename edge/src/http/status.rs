//! The shape of `/status`.

use super::counters::HttpStatus;
use crate::certificate::CertificateStatus;
use crate::native::NativeStatus;
use atoll_compat::KernelStatus;
use atoll_compat::nats::NatsStatus;
use atoll_core::region::Status;
use serde::Serialize;

/// What an edge holds and has done since it started.
#[derive(Debug, Serialize)]
pub(super) struct EdgeStatus {
    pub(super) version: &'static str,
    /// As the original services tell it: empty when unknown.
    #[serde(rename = "commitHash")]
    pub(super) commit_hash: &'static str,
    /// The same; milliseconds since 1970.
    #[serde(rename = "currentTime")]
    pub(super) current_time: u64,
    /// The same; logged-in peers.
    #[serde(rename = "userCount")]
    pub(super) user_count: u64,
    pub(super) uptime_seconds: u64,
    pub(super) region: Status,
    pub(super) native: NativeStatus,
    pub(super) kernels: KernelStatus,
    /// Absent without a cluster.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) nats: Option<NatsStatus>,
    pub(super) http: HttpStatus,
    pub(super) certificate: CertificateStatus,
}
