// What a client tells its listeners.
import type { Way } from "./carrier.js";
import type { Closed } from "./close.js";
import type { Member, Position } from "./messages.js";
import type { Packet } from "./room.js";
import type { Lane } from "./session-lanes.js";

/** The island a client is in. */
export interface Island {
  id: string;
  /** Island it came from, as archipelago tells it. */
  fromId: string | null;
  /** Names this incarnation of the island's room. */
  tag: number;
  /** The client's own alias. */
  alias: number;
  /** Everybody seated, the client included. */
  members: Member[];
  /** Where everybody stood when the island was announced, by address. */
  positions: ReadonlyMap<string, Position>;
  /** Where a foreign archipelago sent the island's peers, as a connection string. Who followed it is not among the members. */
  foreignTransport: string | null;
}

/** A room that is no island, where a client sits because it asked to. */
export interface JoinedRoom {
  name: string;
  /** Names this incarnation of the room. */
  tag: number;
  /** The client's own alias. */
  alias: number;
  /** Everybody seated, the client included. */
  members: Member[];
}

/** Who came and went. */
export interface MembersChange {
  joined: Member[];
  left: Member[];
  /** Everybody seated now, the client included. */
  members: Member[];
}

/** Something the edge refused; the session goes on. */
export interface Refusal {
  code: number;
  /** The code's name in `ErrorCode`, without its prefix. */
  name: string;
  reason: string;
  /** How often since the last report. */
  count: number;
}

/** A message of which none is lost. */
export interface Message {
  /** Who sent it: an address, lower-case, or `server:<name>`. May have left since. */
  address: string;
  /** The room it was sent in, which may be the one before the current. */
  tag: number;
  payload: Uint8Array;
}

/** What a client tells its listeners. */
export interface ClientEvents {
  /** The client was seated in another island. */
  island: Island;
  /** The client was seated in a room that it asked for. */
  room: JoinedRoom;
  /** Others took or left a seat in it. */
  members: MembersChange;
  /** Another member sent an update or event. */
  packet: Packet;
  /** Another member spoke. */
  voice: Packet;
  /** Another member sent an ordered message, or a large one that is small enough. They come as sent, none is lost. */
  ordered: Message;
  /** Another member sent a large message. None is lost, no order is promised. */
  large: Message;
  /** Messages for the client that cannot be had any more, by their numbers in the session. */
  gap: { lane: Lane; first: number; last: number };
  /** The edge refused something. */
  error: Refusal;
  /** The edge ends soon. */
  draining: { closeInMs: number };
  /** The connection is lost; the client makes another one. */
  disconnected: Closed;
  /** The session goes on over another connection: the seat is the same, nothing is lost. */
  resumed: { way: Way };
  /**
   * There is a connection again, but the session is a new one. So many messages sent before were not acknowledged; whether
   * they arrived is not known.
   */
  restarted: { way: Way; unacknowledged: Record<Lane, number> };
  /** Another way than before carries the session. */
  wayChanged: { from: Way; to: Way };
  /** The session ended: the last event. */
  closed: Closed;
}
