//! The shape of `/status`.

use super::counters::HttpStatus;
use crate::certificate::CertificateStatus;
use crate::native::NativeStatus;
use atoll_compat::KernelStatus;
use atoll_core::region::Status;
use serde::Serialize;

/// What an edge holds and has done since it started.
#[derive(Debug, Serialize)]
pub(super) struct EdgeStatus {
    pub(super) version: &'static str,
    pub(super) uptime_seconds: u64,
    pub(super) region: Status,
    pub(super) native: NativeStatus,
    pub(super) kernels: KernelStatus,
    pub(super) http: HttpStatus,
    pub(super) certificate: CertificateStatus,
}
