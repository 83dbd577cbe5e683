// A logged-in session: heartbeats go out, islands and the packets of their members come in.
import { CLOSED, describeClose, KICKED, MALFORMED, type Closed } from "./close.js";
import { decodeDown, encodeUp, Kind } from "./datagram.js";
import { Emitter } from "./emitter.js";
import { ERROR_CODES, SendError } from "./errors.js";
import { FrameError } from "./framing.js";
import type { Limits, Member, Position, ServerMessage } from "./messages.js";
import { Room, type Packet } from "./room.js";
import type { Stats } from "./stats.js";
import { closing, closingSoon, type ControlStream, type DatagramChannel } from "./transport.js";

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

/** What a client tells its listeners. */
export interface ClientEvents {
  /** The client was seated in another island. */
  island: Island;
  /** Others took or left a seat in it. */
  members: MembersChange;
  /** Another member sent something. */
  packet: Packet;
  /** The edge refused something. */
  error: Refusal;
  /** The session ended: the last event. */
  closed: Closed;
}

/** What `connect` hands over after the login. */
export interface Session {
  transport: WebTransport;
  control: ControlStream;
  datagrams: DatagramChannel;
  address: string;
  limits: Limits;
  stats: Stats;
}

const UP_HEADER_BYTES = 7;
/** No place is further from the origin, in metres. */
const FURTHEST_METRES = 1_000_000;
/** However often `move` is called, heartbeats keep this distance. */
const HEARTBEAT_GAP_MS = 250;

/** A logged-in client. `connect` makes one. */
export class AtollClient {
  /** The peer's id: its address, lower-case. */
  readonly address: string;
  /** What the edge accepts. */
  readonly limits: Readonly<Limits>;
  /** Counters; the object is live. */
  readonly stats: Readonly<Stats>;
  /** Resolves when the session has ended. Never rejects. */
  readonly closed: Promise<Closed>;

  readonly #session: Session;
  readonly #stats: Stats;
  readonly #emitter = new Emitter<ClientEvents>();
  readonly #heartbeat: ReturnType<typeof setInterval>;
  #pendingHeartbeat: ReturnType<typeof setTimeout> | undefined;
  #lastHeartbeat = Number.NEGATIVE_INFINITY;
  #position: Position | null = null;
  #island: Omit<Island, "members"> | null = null;
  #room: Room | null = null;
  #sequence = 0;
  #kicked = false;
  #end: Closed | null = null;
  #resolveClosed!: (closed: Closed) => void;

  /** @internal */
  constructor(session: Session) {
    this.#session = session;
    this.#stats = session.stats;
    this.address = session.address;
    this.limits = session.limits;
    this.stats = session.stats;
    this.closed = new Promise((resolve) => (this.#resolveClosed = resolve));
    this.#heartbeat = setInterval(() => this.#beat(), session.limits.heartbeatIntervalMs);
    // Not before whoever awaits `connect` could add listeners.
    setTimeout(() => this.#run(), 0);
  }

  /** Listens to an event; the answer is a function that stops it. */
  on<Name extends keyof ClientEvents>(name: Name, listener: (event: ClientEvents[Name]) => void): () => void {
    return this.#emitter.on(name, listener);
  }

  /** The island the client is in, or `null`. */
  get island(): Island | null {
    if (this.#island === null || this.#room === null) return null;
    return { ...this.#island, members: this.#room.members };
  }

  /**
   * Tells where the avatar stands: at once, or 250 ms after the last heartbeat, and from then on at the edge's interval.
   * Throws `SendError` of kind `invalid_position` or `closed`.
   */
  move(position: Position): void {
    this.#assertOpen();
    if (![position.x, position.y, position.z].every((metres) => Math.abs(metres) <= FURTHEST_METRES)) {
      throw new SendError("invalid_position", "coordinates must be finite and within 1,000,000 m");
    }
    this.#position = { x: position.x, y: position.y, z: position.z };
    if (this.#pendingHeartbeat !== undefined) return;
    const wait = this.#lastHeartbeat + HEARTBEAT_GAP_MS - performance.now();
    if (wait <= 0) this.#beat();
    else this.#pendingHeartbeat = setTimeout(() => this.#beat(), wait);
  }

  /**
   * Sends a state of which the latest counts (rfc4 position or movement).
   * Throws `SendError` of kind `not_seated`, `payload_too_large` or `closed`.
   */
  sendUpdate(payload: Uint8Array): void {
    this.#send(Kind.Update, payload);
  }

  /** Sends anything else: every one is passed on, in no promised order. Throws as `sendUpdate` does. */
  sendEvent(payload: Uint8Array): void {
    this.#send(Kind.Event, payload);
  }

  /** Ends the session. */
  close(reason = ""): void {
    this.#finish(describeClose(CLOSED, reason));
  }

  #send(kind: Kind, payload: Uint8Array): void {
    this.#assertOpen();
    if (this.#room === null) throw new SendError("not_seated", "the client is in no island yet");
    const limit = Math.min(this.limits.maxPayloadBytes, this.#session.datagrams.maxBytes - UP_HEADER_BYTES);
    if (payload.length > limit) {
      throw new SendError("payload_too_large", `${payload.length} bytes; at most ${limit} are taken`);
    }
    const sequence = this.#sequence;
    this.#sequence = (sequence + 1) & 0xffff;
    if (this.#session.datagrams.send(encodeUp({ kind, tag: this.#room.tag, sequence, payload }))) {
      this.#stats.datagramsSent++;
    } else {
      this.#stats.droppedUnsent++;
    }
  }

  #assertOpen(): void {
    if (this.#end !== null) throw new SendError("closed", `the session has ended: ${this.#end.name}`);
  }

  #beat(): void {
    clearTimeout(this.#pendingHeartbeat);
    this.#pendingHeartbeat = undefined;
    if (this.#position === null || this.#end !== null) return;
    if (!this.#session.control.sendIfReady({ case: "heartbeat", position: this.#position })) return;
    this.#lastHeartbeat = performance.now();
    this.#stats.heartbeatsSent++;
  }

  #run(): void {
    const closed = closing(this.#session.transport);
    closed.then((end) => this.#finish(end));
    void this.#session.datagrams.readAll((bytes) => this.#receive(bytes));
    void this.#readControl(closed);
  }

  async #readControl(closed: Promise<Closed>): Promise<void> {
    try {
      for await (const message of this.#session.control.messages) this.#handle(message);
      this.#finish(await closingSoon(closed, "the edge ended the control stream"));
    } catch (error) {
      if (error instanceof FrameError) this.#finish(describeClose(MALFORMED, error.message));
      else this.#finish(await closingSoon(closed, "the control stream broke"));
    }
  }

  #receive(bytes: Uint8Array): void {
    if (this.#end !== null) return;
    this.#stats.datagramsReceived++;
    const datagram = decodeDown(bytes);
    if (datagram === null) {
      this.#stats.droppedMalformed++;
      return;
    }
    if (this.#room === null) {
      this.#stats.droppedUnknownTag++;
      return;
    }
    for (const packet of this.#room.receive(datagram, this.#stats)) this.#emitter.emit("packet", packet);
  }

  #handle(message: ServerMessage): void {
    if (this.#end !== null) return;
    switch (message.case) {
      case "islandChanged":
        this.#changeIsland(message);
        return;
      case "membersChanged":
        this.#changeMembers(message);
        return;
      case "kicked":
        this.#kicked = true;
        return;
      case "error": {
        const { code, reason, count } = message;
        this.#emitter.emit("error", { code, name: ERROR_CODES[code] ?? "UNKNOWN", reason, count });
        return;
      }
      default:
        // A later version's, or out of order: nothing depends on it.
        this.#stats.droppedMessages++;
    }
  }

  #changeIsland(message: Extract<ServerMessage, { case: "islandChanged" }>): void {
    const { island, tag, alias } = message;
    this.#room = new Room(tag, alias, message.members);
    this.#island = { id: island.islandId, fromId: island.fromIslandId, tag, alias, positions: island.peers };
    this.#emitter.emit("island", { ...this.#island, members: this.#room.members });
  }

  #changeMembers(message: Extract<ServerMessage, { case: "membersChanged" }>): void {
    if (this.#room === null || this.#room.tag !== message.tag) {
      this.#stats.droppedMessages++;
      return;
    }
    const left = this.#room.change(message.joined, message.left);
    this.#emitter.emit("members", { joined: message.joined, left, members: this.#room.members });
  }

  #finish(end: Closed): void {
    if (this.#end !== null) return;
    // The edge says why before it closes; a connection that is lost in between must not hide it.
    this.#end = this.#kicked && end.code === null ? describeClose(KICKED, end.reason) : end;
    clearInterval(this.#heartbeat);
    clearTimeout(this.#pendingHeartbeat);
    this.#room = null;
    this.#island = null;
    try {
      this.#session.transport.close({ closeCode: end.code ?? CLOSED, reason: end.reason });
    } catch {
      // It was closed already.
    }
    this.#resolveClosed(this.#end);
    this.#emitter.emit("closed", this.#end);
  }
}
