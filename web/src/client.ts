// A logged-in session: heartbeats go out, islands and what their members send come in, over one connection after another.
import type { Carrier, Receiver, Way } from "./carrier.js";
import { CLOSED, describeClose, KICKED, MALFORMED, type Closed } from "./close.js";
import { decodeDown, encodeUp, Kind, UP_HEADER_BYTES } from "./datagram.js";
import { Emitter } from "./emitter.js";
import { ERROR_CODES, SendError } from "./errors.js";
import type { ClientEvents, Island, JoinedRoom } from "./events.js";
import { Keeper, type ConnectionMaker } from "./keeper.js";
import { withDefaults } from "./limits.js";
import type { Connection } from "./login.js";
import { decodeServerMessage, encodeClientMessage, type Limits, type Position, type ServerMessage } from "./messages.js";
import type { Room } from "./room.js";
import { Seat } from "./seat.js";
import { SessionLanes, type Lane } from "./session-lanes.js";
import { newStats, type Stats } from "./stats.js";
import { Topics, type Subscription, type TopicMessage, type TopicScope } from "./topics.js";
import { onWake } from "./wake.js";
import { Wish } from "./wish.js";

/** How a client stays connected. */
export interface StayOptions {
  reconnect?: boolean;
  upgradeAfterMs?: number;
}

/** No place is further from the origin, in metres. */
const FURTHEST_METRES = 1_000_000;
/** However often `move` is called, heartbeats keep this distance. */
const HEARTBEAT_GAP_MS = 250;
const UPGRADE_AFTER_MS = 30_000;
const NOTHING = { ordered: 0, large: 0, largeBeyond: [] };

/** A logged-in client. `connect` makes one. */
export class AtollClient {
  /** The peer's id: its address, lower-case. */
  readonly address: string;
  /** Counters; the object is live. */
  readonly stats: Readonly<Stats>;
  /** Resolves when the session has ended and no other connection is tried. Never rejects. */
  readonly closed: Promise<Closed>;

  readonly #stats = newStats();
  readonly #emitter = new Emitter<ClientEvents>();
  readonly #topics = new Topics(this.#stats);
  readonly #wish = new Wish();
  readonly #seat = new Seat(this.#emitter, this.#stats);
  readonly #keeper: Keeper;
  readonly #stopWaking: () => void;
  #carrier: Carrier | null;
  #way: Way;
  #limits: Limits;
  #lanes: SessionLanes;
  #heartbeat: ReturnType<typeof setInterval> | undefined;
  #pendingHeartbeat: ReturnType<typeof setTimeout> | undefined;
  #lastHeartbeat = Number.NEGATIVE_INFINITY;
  #position: Position | null = null;
  #sequence = 0;
  #kicked = false;
  #end: Closed | null = null;
  #resolveClosed!: (closed: Closed) => void;

  /** @internal */
  constructor(connection: Connection, maker: ConnectionMaker, options: StayOptions) {
    this.address = connection.welcome.peerId;
    this.stats = this.#stats;
    this.closed = new Promise((resolve) => (this.#resolveClosed = resolve));
    this.#carrier = connection.carrier;
    this.#way = connection.carrier.way;
    this.#limits = withDefaults(connection.welcome.limits);
    this.#lanes = this.#newLanes();
    const hooks = {
      adopt: (next: Connection) => this.#adopt(next),
      lost: (closed: Closed) => this.#lost(closed),
      ended: (closed: Closed) => this.#finish(closed),
      // The edge says why before it closes; a connection that is lost in between must not hide it.
      explain: (closed: Closed) => (this.#kicked && closed.code === null ? describeClose(KICKED, closed.reason) : closed),
      received: () => this.#lanes.received,
    };
    const { reconnect = true, upgradeAfterMs = UPGRADE_AFTER_MS } = options;
    this.#keeper = new Keeper(maker, hooks, { reconnect, upgradeAfterMs });
    this.#stopWaking = onWake(() => this.#keeper.nudge());
    // Not before whoever awaits `connect` could add listeners.
    setTimeout(() => this.#keeper.start(connection), 0);
  }

  /** Listens to an event; the answer is a function that stops it. */
  on<Name extends keyof ClientEvents>(name: Name, listener: (event: ClientEvents[Name]) => void): () => void {
    return this.#emitter.on(name, listener);
  }

  /** The island the client is in, or `null`. Stays while the connection is lost. */
  get island(): Island | null {
    return this.#seat.island;
  }

  /** The room that the client joined and sits in, or `null`. Stays while the connection is lost. */
  get joinedRoom(): JoinedRoom | null {
    return this.#seat.joined;
  }

  /** What the edge accepts. */
  get limits(): Readonly<Limits> {
    return this.#limits;
  }

  /** What carries the session, or `null` while the connection is lost. */
  get way(): Way | null {
    return this.#carrier?.way ?? null;
  }

  /** Ordered and large messages that the edge has not acknowledged. */
  get unacknowledged(): Record<Lane, number> {
    return this.#lanes.unacknowledged;
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
   * Sends a state of which the latest counts (rfc4 position or movement). Dropped while the connection is lost.
   * Throws `SendError` of kind `not_seated`, `payload_too_large` or `closed`.
   */
  sendUpdate(payload: Uint8Array): void {
    this.#sendDatagram(Kind.Update, payload);
  }

  /** Sends anything else: every one is passed on, in no promised order. Drops and throws as `sendUpdate` does. */
  sendEvent(payload: Uint8Array): void {
    this.#sendDatagram(Kind.Event, payload);
  }

  /** Sends a frame of speech: passed on at once or never, at most 64 a second. Drops and throws as `sendUpdate` does. */
  sendVoice(payload: Uint8Array): void {
    this.#sendDatagram(Kind.Voice, payload);
  }

  /**
   * Sends a message of which none is lost, in the order sent, also while the connection is lost: then it waits, at most
   * 60 s. Throws `SendError` of kind `not_seated`, `payload_too_large`, `full` or `closed`.
   */
  sendOrdered(payload: Uint8Array): void {
    this.#sendOnLane("ordered", payload, this.#limits.maxOrderedBytes);
  }

  /** Sends a message that is too large to be ordered: none is lost, no order is promised. Throws as `sendOrdered` does. */
  sendLarge(payload: Uint8Array): void {
    this.#sendOnLane("large", payload, this.#limits.maxLargeBytes);
  }

  /**
   * Says something on a topic, to all of the region who hear it: levels separated by dots. Dropped while the connection is
   * lost; what the edge refuses is an `error` event. Throws `SendError` of kind `payload_too_large`, `full` or `closed`.
   */
  publish(topic: string, payload: Uint8Array): void {
    this.#assertOpen();
    this.#topics.publish(topic, payload, this.#limits.maxMessageBytes);
  }

  /**
   * Hears a topic from now on, over losses of the connection too: what peers say, or what services of the region say.
   * `*` stands for one level, a last `>` for one or more. Throws `SendError` of kind `closed`.
   */
  subscribe(
    topic: string,
    listener: (message: TopicMessage) => void,
    { scope = "peer" }: { scope?: TopicScope } = {},
  ): Subscription {
    this.#assertOpen();
    return this.#topics.subscribe(topic, scope, listener);
  }

  /**
   * Asks for a seat in a room that is no island, in place of that in the island: `quic:<room>` or `ws-room:<url>/rooms/<room>`,
   * each perhaps with `?access_token=<token>`; over losses of the connection too. A `room` event tells that the client sits
   * there, an `error` event named `ROOM_REFUSED`, `ROOM_FULL` or `INVALID_CONNECTION_STRING` that it stays where it is, and
   * `ROOM_LOST` that somebody else has taken its seat since. Throws `SendError` of kind `closed`.
   */
  joinRoom(connectionString: string): void {
    this.#assertOpen();
    this.#wish.ask(connectionString);
  }

  /** Goes back to the room of the island, as an `island` event tells. Throws `SendError` of kind `closed`. */
  leaveRoom(): void {
    this.joinRoom("");
  }

  /** Ends the session. What is not acknowledged may be lost. */
  close(reason = ""): void {
    this.#finish(describeClose(CLOSED, reason));
  }

  #sendDatagram(kind: Kind, payload: Uint8Array): void {
    const room = this.#seated();
    const size = Math.min(this.#limits.maxPayloadBytes, (this.#carrier?.maxDatagramBytes ?? Infinity) - UP_HEADER_BYTES);
    assertSize(payload, size);
    const sequence = this.#sequence;
    this.#sequence = (sequence + 1) & 0xffff;
    const datagram = encodeUp({ kind, tag: room.tag, sequence, payload });
    if (this.#carrier?.sendDatagram(datagram) === true) this.#stats.datagramsSent++;
    else this.#stats.droppedUnsent++;
  }

  #sendOnLane(lane: Lane, payload: Uint8Array, limit: number): void {
    const room = this.#seated();
    assertSize(payload, limit);
    this.#lanes.send(lane, room.tag, payload);
  }

  #seated(): Room {
    this.#assertOpen();
    const { room } = this.#seat;
    if (room === null) throw new SendError("not_seated", "the client is in no island yet");
    return room;
  }

  #assertOpen(): void {
    if (this.#end !== null) throw new SendError("closed", `the session has ended: ${this.#end.name}`);
  }

  #beat(): void {
    clearTimeout(this.#pendingHeartbeat);
    this.#pendingHeartbeat = undefined;
    if (this.#position === null || this.#carrier === null || this.#carrier.isBehind) return;
    void this.#carrier.sendControl(encodeClientMessage({ case: "heartbeat", position: this.#position }));
    this.#lastHeartbeat = performance.now();
    this.#stats.heartbeatsSent++;
  }

  #adopt({ carrier, inbox, welcome }: Connection): void {
    const isFirst = this.#stats.connections++ === 0;
    const from = this.#way;
    this.#carrier = carrier;
    this.#way = carrier.way;
    this.#limits = withDefaults(welcome.limits);
    clearInterval(this.#heartbeat);
    this.#heartbeat = setInterval(() => this.#beat(), this.#limits.heartbeatIntervalMs);
    const { unacknowledged } = this.#lanes;
    const isResumed = welcome.resumed !== null;
    if (!isResumed && !isFirst) this.#beginAnew();
    try {
      this.#lanes.attach(carrier, welcome.resumed ?? NOTHING);
      this.#topics.attach(carrier, !isResumed);
      this.#wish.attach(carrier, !isResumed);
      this.#beat();
      if (carrier.way !== from) this.#emitter.emit("wayChanged", { from, to: carrier.way });
      if (isResumed) this.#emitter.emit("resumed", { way: carrier.way });
      else if (!isFirst) this.#emitter.emit("restarted", { way: carrier.way, unacknowledged });
      inbox.deliver(this.#receiver(carrier));
    } catch (error) {
      carrier.close(MALFORMED, String(error));
    }
  }

  #beginAnew(): void {
    this.#lanes.detach();
    this.#lanes = this.#newLanes();
    this.#seat.leave();
  }

  #lost(closed: Closed): void {
    this.#carrier = null;
    this.#lanes.detach();
    this.#topics.detach();
    this.#wish.detach();
    this.#emitter.emit("disconnected", closed);
  }

  #newLanes(): SessionLanes {
    return new SessionLanes({
      ordered: ({ tag, sender, payload }) => {
        this.#stats.orderedReceived++;
        this.#emitter.emit("ordered", { address: sender?.name ?? "", tag, payload });
      },
      large: ({ tag, sender }, payload) => {
        this.#stats.largeReceived++;
        this.#emitter.emit("large", { address: sender?.name ?? "", tag, payload });
      },
      gap: (lane, gap) => this.#emitter.emit("gap", { lane, ...gap }),
      repeated: () => void this.#stats.repeated++,
    });
  }

  /** Takes what this connection brings, as long as it is the current one. Throws for what ends it. */
  #receiver(carrier: Carrier): Receiver {
    const current = <Args extends unknown[]>(take: (...args: Args) => void) => {
      return (...args: Args): void => {
        if (this.#carrier === carrier) take(...args);
      };
    };
    return {
      control: current((bytes: Uint8Array) => this.#receiveControl(bytes)),
      ordered: current((frame: Uint8Array) => this.#lanes.takeOrdered(frame)),
      large: current((item: Parameters<Receiver["large"]>[0]) => this.#lanes.takeLarge(item)),
      datagram: current((bytes: Uint8Array) => this.#receiveDatagram(bytes)),
    };
  }

  #receiveControl(bytes: Uint8Array): void {
    let message: ServerMessage;
    try {
      message = decodeServerMessage(bytes);
    } catch {
      this.#stats.droppedMessages++;
      return;
    }
    this.#stats.messagesReceived++;
    this.#handle(message);
  }

  #receiveDatagram(bytes: Uint8Array): void {
    this.#stats.datagramsReceived++;
    const datagram = decodeDown(bytes);
    if (datagram === null || !datagram.whole) this.#stats.droppedMalformed++;
    if (datagram === null) return;
    const { room } = this.#seat;
    if (room === null) {
      this.#stats.droppedUnknownTag++;
      return;
    }
    for (const packet of room.receive(datagram, this.#stats)) {
      this.#emitter.emit(packet.kind === Kind.Voice ? "voice" : "packet", packet);
    }
  }

  #handle(message: ServerMessage): void {
    switch (message.case) {
      case "islandChanged":
        if (message.room !== null || message.island.islandId !== "") this.#wish.seated(message.room !== null);
        this.#seat.take(message);
        return;
      case "membersChanged":
        this.#seat.change(message);
        return;
      case "kicked":
        this.#kicked = true;
        return;
      case "error": {
        const { code, reason, count } = message;
        const name = ERROR_CODES[code] ?? "UNKNOWN";
        this.#wish.refused(name);
        this.#emitter.emit("error", { code, name, reason, count });
        return;
      }
      case "draining":
        this.#emitter.emit("draining", { closeInMs: message.closeInMs });
        return;
      case "received":
        this.#lanes.acknowledge(message.received);
        return;
      case "subscribed":
        this.#topics.subscribed(message);
        return;
      case "topicMessage":
        this.#topics.take(message);
        return;
      default:
        // A later version's, or out of order: nothing depends on it.
        this.#stats.droppedMessages++;
    }
  }

  #finish(end: Closed): void {
    if (this.#end !== null) return;
    this.#end = end;
    this.#stopWaking();
    clearInterval(this.#heartbeat);
    clearTimeout(this.#pendingHeartbeat);
    this.#lanes.detach();
    this.#topics.end(`the session has ended: ${end.name}`);
    this.#keeper.end(end);
    this.#carrier?.close(end.code ?? CLOSED, end.reason);
    this.#carrier = null;
    this.#seat.leave();
    this.#resolveClosed(end);
    this.#emitter.emit("closed", end);
  }
}

function assertSize(payload: Uint8Array, limit: number): void {
  if (payload.length > limit) {
    throw new SendError("payload_too_large", `${payload.length} bytes; at most ${limit} are taken`);
  }
}
