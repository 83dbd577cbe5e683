//! What the bus on a NATS cluster counts, for `/metrics`.

use super::exposition::Page;
use atoll_compat::nats::NatsStatus;

/// Writes its metrics.
pub(super) fn write(page: &mut Page, nats: &NatsStatus) {
    page.value("atoll_nats_connected", "1 while a NATS server answers, else 0.", nats.connected.into());
    page.value("atoll_nats_pending_bytes", "Of messages that wait to be sent to NATS.", nats.pending_bytes);
    page.total("atoll_nats_connections_total", "Connections to NATS that were made.", nats.connections);
    page.total("atoll_nats_received_total", "Messages of others that were taken from NATS.", nats.received);
    page.total("atoll_nats_sent_total", "Messages sent to NATS, in every spelling.", nats.sent);
    page.total("atoll_nats_repeated_total", "Island changes that came again.", nats.repeated);
    page.total("atoll_nats_refused_total", "Complaints of the server, such as missing permissions.", nats.refused);
    page.counter("atoll_nats_lost_total", "Messages that did not go between this process and NATS, by reason.");
    for (reason, count) in [
        ("queue_full", nats.dropped),
        ("too_large", nats.too_large),
        ("heartbeat_disconnected", nats.stale),
        ("malformed", nats.malformed),
        ("slow_consumer", nats.slow),
    ] {
        page.labelled("atoll_nats_lost_total", "reason", reason, count);
    }
}
