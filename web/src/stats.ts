// What a client counted since it connected first.

/** Counters of one client. Nothing that is dropped goes uncounted. */
export interface Stats {
  /** Datagrams that arrived, of any content. */
  datagramsReceived: number;
  /** Packets of other members that were handed on. */
  packetsReceived: number;
  /** Datagrams sent. */
  datagramsSent: number;
  /** Heartbeats sent. */
  heartbeatsSent: number;
  /** Control messages that arrived and could be read. */
  messagesReceived: number;
  /** Connections that were logged in, one after another. */
  connections: number;
  /** Ordered messages handed on. */
  orderedReceived: number;
  /** Large messages handed on. */
  largeReceived: number;
  /** Messages of topics handed on. */
  topicsReceived: number;
  /** Messages of topics that were lost on their way. */
  topicsMissed: number;
  /** Ordered and large messages that came again, after a resume. Not a loss. */
  repeated: number;
  /** Own packets, which the edge sends back with everybody's. Not a loss. */
  own: number;
  /** Datagrams that could not be read. */
  droppedMalformed: number;
  /** Datagrams of a room that is not the current one. */
  droppedUnknownTag: number;
  /** Packets of an alias that nobody is known by (yet). */
  droppedUnknownMember: number;
  /** Updates older than one already handed on. */
  droppedStale: number;
  /** Datagrams not sent because too many waited, and topic messages as they, because there was no connection. */
  droppedUnsent: number;
  /** Control messages that could not be read, or were about a room that is not the current one. */
  droppedMessages: number;
}

/** All counters at 0. */
export function newStats(): Stats {
  return {
    datagramsReceived: 0,
    packetsReceived: 0,
    datagramsSent: 0,
    heartbeatsSent: 0,
    messagesReceived: 0,
    connections: 0,
    orderedReceived: 0,
    largeReceived: 0,
    topicsReceived: 0,
    topicsMissed: 0,
    repeated: 0,
    own: 0,
    droppedMalformed: 0,
    droppedUnknownTag: 0,
    droppedUnknownMember: 0,
    droppedStale: 0,
    droppedUnsent: 0,
    droppedMessages: 0,
  };
}
