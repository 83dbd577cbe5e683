//! What the doors of existing kernels count, and topics, for `/metrics`.

use super::exposition::Page;
use atoll_compat::{DoorStatus, KernelStatus};
use atoll_core::region::TopicsStatus;

/// Writes their metrics. Of reasons that have not come up there is none.
pub(super) fn write(page: &mut Page, kernels: &KernelStatus, topics: &TopicsStatus) {
    let doors = [
        ("bff", &kernels.bff),
        ("archipelago", &kernels.archipelago),
        ("signed_login", &kernels.signed_login),
        ("ws_room", &kernels.ws_room),
        ("livekit", &kernels.livekit),
    ];
    let each = |page: &mut Page, name: &str, value: fn(&DoorStatus) -> u64| {
        for (door, status) in doors {
            page.line(format_args!("{name}{{door=\"{door}\"}} {}", value(status)));
        }
    };
    page.gauge("atoll_kernel_sockets", "WebSockets of kernels.");
    each(page, "atoll_kernel_sockets", |door| door.sockets);
    page.gauge("atoll_kernel_sockets_waiting", "Those of them without a session.");
    each(page, "atoll_kernel_sockets_waiting", |door| door.waiting);
    page.counter("atoll_kernel_logins_total", "Logins of kernels that succeeded.");
    each(page, "atoll_kernel_logins_total", |door| door.logins);
    page.counter("atoll_kernel_bytes_in_total", "Bytes of messages from kernels.");
    each(page, "atoll_kernel_bytes_in_total", |door| door.bytes_in);
    page.counter("atoll_kernel_bytes_out_total", "Bytes of messages to kernels.");
    each(page, "atoll_kernel_bytes_out_total", |door| door.bytes_out);
    page.counter("atoll_kernel_refused_total", "Logins and sockets refused, by reason.");
    for (door, status) in doors {
        for (reason, count) in &status.refused {
            page.line(format_args!("atoll_kernel_refused_total{{door=\"{door}\",reason=\"{reason}\"}} {count}"));
        }
    }
    page.counter("atoll_kernel_closed_total", "WebSockets of kernels closed, by reason.");
    for (door, status) in doors {
        for (reason, count) in &status.closed {
            page.line(format_args!("atoll_kernel_closed_total{{door=\"{door}\",reason=\"{reason}\"}} {count}"));
        }
    }
    let ice = &kernels.livekit_ice;
    page.counter("atoll_livekit_datagrams_dropped_total", "Datagrams that reached no client of LiveKit's, by reason.");
    for (reason, count) in [("unknown", ice.datagrams_unknown), ("behind", ice.datagrams_behind)] {
        page.labelled("atoll_livekit_datagrams_dropped_total", "reason", reason, count);
    }
    page.counter("atoll_livekit_tcp_refused_total", "TCP connections for media and data closed, by reason.");
    for (reason, count) in [("unknown", ice.tcp_unknown), ("crowded", ice.tcp_crowded)] {
        page.labelled("atoll_livekit_tcp_refused_total", "reason", reason, count);
    }
    let api = &kernels.livekit_api;
    page.counter("atoll_livekit_api_calls_total", "Calls of LiveKit's server API, by what came of them.");
    for (outcome, count) in [("answered", api.answered), ("refused", api.refused)] {
        page.labelled("atoll_livekit_api_calls_total", "outcome", outcome, count);
    }
    page.counter("atoll_livekit_webhooks_total", "Events for receivers of webhooks, by what came of them.");
    let outcomes =
        [("delivered", api.webhooks_delivered), ("failed", api.webhooks_failed), ("shed", api.webhooks_shed)];
    for (outcome, count) in outcomes {
        page.labelled("atoll_livekit_webhooks_total", "outcome", outcome, count);
    }
    page.total("atoll_livekit_webhook_retries_total", "Further tries to tell one.", api.webhooks_retried);
    let rooms = &kernels.ws_room_packets;
    page.total("atoll_ws_room_replaced_total", "Updates for slow clients that newer ones replaced.", rooms.replaced);
    page.total("atoll_ws_room_dropped_total", "Events and voice that slow clients missed.", rooms.dropped);
    page.total(
        "atoll_ws_room_untranslated_total",
        "Packets without words in the other generation.",
        rooms.untranslated,
    );
    page.total("atoll_ws_room_refused_total", "Packets of clients that their room did not take.", rooms.refused);
    page.total("atoll_ws_room_unread_total", "Messages of clients that say nothing to a room.", rooms.unread);
    page.total("atoll_rpc_calls_total", "Remote procedure calls of kernels.", kernels.rpc_calls);
    page.total("atoll_rpc_errors_total", "Answers to them that told of an error.", kernels.rpc_errors);
    page.value("atoll_topic_subscriptions", "Subscriptions to topics.", topics.subscriptions);
    page.value("atoll_topic_bytes_waiting", "Of messages that wait for subscribers.", topics.waiting_bytes);
    page.total("atoll_topic_published_total", "Messages published to topics by peers here.", topics.published);
    page.total("atoll_topic_delivered_total", "Messages of topics that subscribers took.", topics.delivered);
}
