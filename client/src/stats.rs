//! What a client counts.

/// What a client counted since it logged in, over all its connections.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Stats {
    /// Packets sent as Update.
    pub updates_sent: u64,
    /// Packets sent as Event.
    pub events_sent: u64,
    /// Packets sent as Voice.
    pub voice_sent: u64,
    /// Messages given to the two lanes.
    pub messages_sent: u64,
    /// Messages received on the two lanes, each once.
    pub messages_received: u64,
    /// Messages of topics that arrived, whether they were taken or dropped later.
    pub topics_received: u64,
    /// Messages of topics that were lost on their way, or dropped because the program did not take its events in time.
    pub topics_missed: u64,
    /// Packets of others that were accepted, whether they were taken or dropped later.
    pub received: u64,
    /// Own packets in the batches of the edge, dropped.
    pub own: u64,
    /// Updates older than the last of the same sender and kind, dropped.
    pub stale: u64,
    /// Datagrams for another room than the current one, dropped whole.
    pub unknown_tag: u64,
    /// Datagrams that cannot be read to their end.
    pub malformed: u64,
    /// Accepted packets dropped because the program did not take its events in time.
    pub queue_dropped: u64,
    /// Times the client was put into an island.
    pub islands: u64,
    /// Times the session went on over another connection.
    pub resumed: u64,
    /// Times it was lost and another one began.
    pub restarted: u64,
}
