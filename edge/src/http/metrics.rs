//! `/metrics`: the counts of `/status` in Prometheus' text format. docs/metrics.md says what each one means.

use super::exposition::Page;
use super::status::EdgeStatus;
use super::{kernel_metrics, nats_metrics};

/// The content type of the text format.
pub(super) const CONTENT_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

/// Writes every metric once, in a fixed order.
pub(super) fn text(status: &EdgeStatus) -> String {
    let EdgeStatus { version, uptime_seconds, region, native, kernels, nats, http, certificate, .. } = status;
    let mut page = Page::default();
    page.gauge("atoll_info", "Always 1; the label tells the version.");
    page.labelled("atoll_info", "version", version, 1);
    page.value("atoll_uptime_seconds", "Since the edge started.", *uptime_seconds);
    page.value("atoll_sessions", "Logged-in peers.", region.sessions);
    page.value("atoll_rooms", "Rooms with at least one link.", region.rooms);
    page.value("atoll_seats", "Members of all rooms.", region.seats);
    page.value("atoll_islands", "Islands of this region's archipelago.", region.archipelago.islands);
    page.value("atoll_archipelago_peers", "Peers that archipelago knows.", region.archipelago.peers);
    page.value("atoll_native_connections", "Native connections, logged in or not.", native.connections);
    page.value("atoll_native_websockets", "Those of them that came as a WebSocket.", native.websockets);
    page.value("atoll_sessions_parked", "Sessions without a connection, which can be resumed.", native.parked);
    page.value("atoll_message_bytes_kept", "Of messages not acknowledged yet.", native.lanes.kept_bytes);
    page.value("atoll_http_connections", "Connections that speak HTTP.", http.connections);
    let left = certificate.expires_in_seconds;
    page.value("atoll_certificate_expires_in_seconds", "Until the certificate shown expires; 0 when it has.", left);

    page.total("atoll_logins_total", "Logins that succeeded.", region.logins);
    page.total("atoll_sessions_evicted_total", "Sessions ended for others in a full region.", region.sessions_evicted);
    page.total("atoll_heartbeats_total", "Heartbeats taken.", region.heartbeats);
    page.total("atoll_room_ticks_total", "Ticks of all rooms.", region.ticks);
    page.total("atoll_packets_in_total", "Packets taken from members.", region.packets_in);
    page.total("atoll_packets_out_total", "Packets handed to links.", region.packets_out);
    page.total("atoll_island_changes_total", "Island changes announced.", region.archipelago.changes);

    page.counter("atoll_drops_total", "What was dropped, by reason.");
    let refused = &region.packets_refused;
    for (reason, count) in [
        ("packet_no_seat", refused.no_seat),
        ("packet_stale", refused.stale),
        ("packet_too_fast", refused.too_fast),
        ("packet_too_large", refused.too_large),
        ("packet_above_receiver", region.links_too_large),
        ("batch_receiver_behind", region.links_behind),
        ("chunk_receiver_behind", native.chunks_behind),
        ("chunk_above_path", native.chunks_too_large),
        ("datagram_foreign_session", native.foreign_datagrams),
        ("datagram_wrong_tag", native.wrong_tag),
        ("datagram_session_behind", native.datagrams_behind),
        ("message_not_acknowledged", native.lanes.lost_out),
        ("topic_above_limit", native.topics_too_large),
        ("heartbeat_refused", region.archipelago.refused),
        ("topic_subscriber_slow", region.topics.dropped),
        ("bus_full", region.bus.lost + region.archipelago.lost),
        ("bus_subscriber_slow", region.bus.dropped + region.archipelago.dropped),
        ("bus_malformed", region.bus.malformed),
    ] {
        page.labelled("atoll_drops_total", "reason", reason, count);
    }
    page.total("atoll_links_gone_total", "Links that rooms dropped.", region.links_gone);
    page.total("atoll_quic_handshakes_failed_total", "QUIC handshakes that failed.", native.handshakes_failed);
    page.total("atoll_native_lost_total", "Connections that ended without a word.", native.lost);
    let (refused, evicted) = (native.pre_auth_refused, native.pre_auth_evicted);
    page.total("atoll_native_pre_auth_refused_total", "Refused: too many from there had not logged in.", refused);
    page.total("atoll_native_pre_auth_evicted_total", "Closed for others before they had logged in.", evicted);
    page.total("atoll_sessions_resumed_total", "Sessions that went on over another connection.", native.resumed);
    page.counter("atoll_messages_total", "Numbered messages by lane and direction, repetitions included.");
    for (lane, count) in [
        ("ordered_in", native.lanes.ordered_in),
        ("ordered_out", native.lanes.ordered_out),
        ("large_in", native.lanes.large_in),
        ("large_out", native.lanes.large_out),
    ] {
        page.labelled("atoll_messages_total", "lane", lane, count);
    }
    page.total("atoll_message_gaps_in_total", "Gaps that clients announced.", native.lanes.gaps_in);
    page.total("atoll_messages_shed_total", "Messages dropped: too much was kept.", native.lanes.shed);
    page.total("atoll_quic_requests_failed_total", "HTTP/3 without a session.", native.requests_failed);
    page.total("atoll_http_refused_total", "TCP connections closed: too many from there.", http.refused);
    page.total("atoll_http_evicted_total", "TCP connections closed for others.", http.evicted);
    page.total("atoll_http_arrivals_failed_total", "TCP connections without HTTP.", http.arrivals_failed);
    page.total("atoll_http_upgrades_refused_total", "Upgrades there was no place for.", http.upgrades_refused);
    page.total("atoll_http_limited_total", "Requests answered with 429.", http.limited);
    page.total("atoll_certificate_exchanged_total", "Certificates exchanged.", certificate.exchanged);
    page.total("atoll_certificate_refused_total", "Certificates found unusable.", certificate.refused);
    page.counter("atoll_sessions_closed_total", "Connections ended, by close code.");
    for (code, count) in &native.closed {
        page.labelled("atoll_sessions_closed_total", "code", code, *count);
    }
    page.counter("atoll_refused_total", "Refused items of clients, by error code.");
    for (code, count) in &native.refused {
        page.labelled("atoll_refused_total", "code", code, *count);
    }
    kernel_metrics::write(&mut page, kernels, &region.topics);
    if let Some(nats) = nats {
        nats_metrics::write(&mut page, nats);
    }
    page.finish()
}
