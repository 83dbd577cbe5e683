//! What is said to a participant by its WebSocket.

use crate::counters::RoomCounters;
use crate::ended::Ended;
use crate::ws_room::outgoing::Outgoing;
use atoll_core::limit::Budget;
use atoll_proto::room_frames::put_message;
use bytes::BytesMut;
use livekit_protocol::leave_request::Action;
use livekit_protocol::signal_response::Message;
use livekit_protocol::{DisconnectReason, LeaveRequest, SignalResponse};
use std::sync::Arc;

/// The way to one WebSocket. A participant that has none for the moment loses what is said: it is told how things are when it is
/// back.
pub(super) struct Signals {
    outgoing: Arc<Outgoing>,
}

impl Signals {
    pub(super) fn new(budget: Arc<Budget>, counters: Arc<RoomCounters>) -> Self {
        Self { outgoing: Arc::new(Outgoing::new(budget, counters)) }
    }

    pub(super) fn outgoing(&self) -> &Arc<Outgoing> {
        &self.outgoing
    }

    pub(super) fn send(&self, message: Message) {
        let mut out = BytesMut::new();
        put_message(&SignalResponse { message: Some(message) }, &mut out);
        self.outgoing.push(out.freeze());
    }

    /// Tells it to go, and says nothing more.
    pub(super) fn leave(&self, leave: LeaveRequest, ended: Ended) {
        self.send(Message::Leave(leave));
        self.outgoing.end(ended);
    }
}

/// What a client is told that is not to come back, or not by itself.
pub(super) fn go(reason: DisconnectReason) -> LeaveRequest {
    LeaveRequest { can_reconnect: false, reason: reason as i32, action: Action::Disconnect as i32, regions: None }
}

/// What a client is told that is to begin anew.
pub(super) fn come_again(reason: DisconnectReason) -> LeaveRequest {
    LeaveRequest { can_reconnect: true, reason: reason as i32, action: Action::Reconnect as i32, regions: None }
}
