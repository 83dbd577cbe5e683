// One person's stay in the region: connects, walks, hears and speaks. The client connects again by itself.
import { connect, ConnectError, Kind, rfc4, SendError, type AtollClient, type Closed, type ConnectOptions } from "../src/index.js";
import { Avatars } from "./avatars.js";
import { shortAddress } from "./map.js";
import type { Identity } from "./wallet.js";
import { Walker } from "./walker.js";

/** Where the connection stands. */
export type ConnectionState = "connecting" | "waiting for an island" | "on an island" | "reconnecting" | "disconnected";

/** What was heard of another member. */
export interface Heard {
  x: number;
  y: number;
  z: number;
  /** Position updates, all of which came by datagrams. */
  updates: number;
}

/** A line of chat. */
export interface Line {
  from: string;
  text: string;
}

const STEP_MS = 50;
const UPDATE_MS = 100;
/** However still somebody stands, newcomers hear of them within this time. */
const REPEAT_MS = 1_000;
const LINES_KEPT = 50;
const HEARD_KEPT = 1_000;
const FIRST_RETRY_MS = 500;
const LAST_RETRY_MS = 10_000;
const SPEECH_MS = 6_000;

/** The stay. Fields are for reading; `changed` is called when something other than a place has. */
export class World {
  readonly address: string;
  readonly walker: Walker;
  readonly avatars = new Avatars();
  readonly lines: Line[] = [];
  state: ConnectionState = "connecting";
  islandId: string | null = null;
  tag: number | null = null;
  members: string[] = [];
  received: Record<string, Heard> = {};
  lastError: string | null = null;
  closed: Closed | null = null;
  /** The client behind it all; `null` before the first login and after the end. */
  client: AtollClient | null = null;
  /** When the first login was over, in milliseconds since the page was opened. */
  connectedAt: number | null = null;
  /** What happened to the connection last, for people to read. */
  notice = "";
  said = "";
  saidUntil = 0;
  changed: () => void = () => undefined;

  readonly #edge: string;
  readonly #identity: Identity;
  readonly #options: Partial<ConnectOptions>;
  #index = 0;
  #lastUpdate = { x: Number.NaN, z: Number.NaN, at: Number.NEGATIVE_INFINITY };
  #lastMove = { x: Number.NaN, z: Number.NaN };
  #lastStep = performance.now();

  constructor(edge: string, identity: Identity, start: { x: number; z: number }, options: Partial<ConnectOptions> = {}) {
    this.#edge = edge;
    this.#identity = identity;
    this.#options = options;
    this.address = identity.address;
    this.walker = new Walker(start.x, start.z);
    setInterval(() => this.#step(), STEP_MS);
  }

  /** Connects, until that works once or is hopeless, and stays until the session's end. */
  async stay(): Promise<void> {
    for (let wait = FIRST_RETRY_MS; ; wait = Math.min(wait * 2, LAST_RETRY_MS)) {
      this.#enter("connecting");
      try {
        const client = await connect(this.#edge, { ...this.#options, ...this.#identity });
        this.closed = await this.#live(client);
        this.lastError = `closed: ${this.closed.name}${this.closed.reason === "" ? "" : ` (${this.closed.reason})`}`;
        this.#leave();
        return;
      } catch (error) {
        this.lastError = error instanceof Error ? error.message : String(error);
        const hopeless = error instanceof ConnectError && error.kind === "unsupported";
        if (error instanceof ConnectError) this.closed = error.closed;
        this.#leave();
        if (hopeless || this.closed?.retry === "do not retry") return;
      }
      // Not all at once, after an edge that ended for everybody.
      await new Promise((resolve) => setTimeout(resolve, wait * (0.5 + Math.random())));
    }
  }

  /** Says something to the island, of which none is lost; answers whether that was possible. */
  say(text: string): boolean {
    if (this.client === null || text === "") return false;
    try {
      this.client.sendOrdered(rfc4.encodeChat({ message: text, timestamp: Date.now() }));
    } catch (error) {
      this.#fail(error);
      return false;
    }
    this.said = text;
    this.saidUntil = performance.now() + SPEECH_MS;
    this.#addLine({ from: "you", text });
    return true;
  }

  #live(client: AtollClient): Promise<Closed> {
    this.client = client;
    this.connectedAt ??= performance.now();
    this.closed = null;
    this.lastError = null;
    this.#enter("waiting for an island");
    client.on("island", (island) => {
      this.islandId = island.id;
      this.tag = island.tag;
      this.#setMembers(island.members.map((member) => member.name));
      const now = performance.now();
      for (const [address, { x, z }] of island.positions) {
        if (address !== this.address && this.members.includes(address)) this.avatars.place(address, { x, z, heading: 0 }, now);
      }
      this.#lastUpdate.at = Number.NEGATIVE_INFINITY;
      this.#enter("on an island");
    });
    client.on("members", (change) => this.#setMembers(change.members.map((member) => member.name)));
    client.on("packet", ({ address, payload, kind }) => this.#hear(address, payload, kind));
    client.on("ordered", ({ address, payload }) => this.#hear(address, payload, null));
    client.on("large", ({ address, payload }) => this.#hear(address, payload, null));
    client.on("gap", ({ first, last }) => this.#notify(`${last - first + 1} messages were lost`));
    client.on("disconnected", ({ name }) => {
      this.#notify(`${name}; connecting again`);
      this.#enter("reconnecting");
    });
    client.on("resumed", () => {
      this.#notify("resumed");
      this.#enter(this.islandId === null ? "waiting for an island" : "on an island");
    });
    client.on("restarted", () => {
      this.#notify("connected anew");
      this.#forgetIsland();
      this.#enter("waiting for an island");
    });
    client.on("wayChanged", ({ to }) => this.#notify(`moved to ${to}`));
    client.on("draining", ({ closeInMs }) => this.#notify(`the edge ends in ${(closeInMs / 1_000).toFixed(1)} s`));
    client.on("error", (refusal) => {
      this.lastError = `${refusal.name}: ${refusal.reason} (${refusal.count})`;
      this.changed();
    });
    this.#lastMove = { x: Number.NaN, z: Number.NaN };
    return client.closed;
  }

  #leave(): void {
    this.client = null;
    this.#forgetIsland();
    this.#enter("disconnected");
  }

  #forgetIsland(): void {
    this.islandId = null;
    this.tag = null;
    this.#setMembers([]);
  }

  #enter(state: ConnectionState): void {
    this.state = state;
    this.changed();
  }

  #notify(notice: string): void {
    this.notice = notice;
    this.changed();
  }

  #setMembers(names: string[]): void {
    this.members = names;
    this.avatars.keep(new Set(names), performance.now());
    this.changed();
  }

  /** Takes a packet; `kind` is `null` for one that came on a lane. */
  #hear(address: string, payload: Uint8Array, kind: Kind | null): void {
    let packet: rfc4.Packet;
    try {
      packet = rfc4.decodePacket(payload);
    } catch {
      this.lastError = `${shortAddress(address)} sent a packet that cannot be read`;
      return;
    }
    const now = performance.now();
    if (packet.case === "position" && kind === Kind.Update) {
      const { positionX: x, positionY: y, positionZ: z, rotationY, rotationW } = packet.position;
      if (![x, y, z, rotationY, rotationW].every(Number.isFinite)) return;
      this.#count(address, { x, y, z });
      this.avatars.place(address, { x, z, heading: 2 * Math.atan2(rotationY, rotationW) }, now);
    } else if (packet.case === "chat") {
      this.avatars.say(address, packet.chat.message, now);
      this.#addLine({ from: address, text: packet.chat.message });
    }
  }

  #count(address: string, place: { x: number; y: number; z: number }): void {
    if (this.received[address] === undefined && Object.keys(this.received).length >= HEARD_KEPT) this.received = {};
    this.received[address] = { ...place, updates: (this.received[address]?.updates ?? 0) + 1 };
  }

  #addLine(line: Line): void {
    this.lines.push(line);
    if (this.lines.length > LINES_KEPT) this.lines.shift();
    this.changed();
  }

  #step(): void {
    const now = performance.now();
    this.walker.step((now - this.#lastStep) / 1_000);
    this.#lastStep = now;
    if (this.client === null) return;
    const { x, z } = this.walker;
    try {
      if (x !== this.#lastMove.x || z !== this.#lastMove.z) {
        this.client.move({ x, y: 0, z });
        this.#lastMove = { x, z };
      }
      if (this.islandId !== null) this.#update(x, z, now);
    } catch (error) {
      this.#fail(error);
    }
  }

  #update(x: number, z: number, now: number): void {
    const still = x === this.#lastUpdate.x && z === this.#lastUpdate.z;
    // Half a step early is on time: timers are late, and the rate should not halve.
    if (now - this.#lastUpdate.at < (still ? REPEAT_MS : UPDATE_MS) - STEP_MS / 2) return;
    const half = this.walker.heading / 2;
    this.client?.sendUpdate(
      rfc4.encodePosition({
        index: ++this.#index,
        positionX: x,
        positionY: 0,
        positionZ: z,
        rotationX: 0,
        rotationY: Math.sin(half),
        rotationZ: 0,
        rotationW: Math.cos(half),
      }),
    );
    this.#lastUpdate = { x, z, at: now };
  }

  #fail(error: unknown): void {
    // Between two islands, or after the end: that is told elsewhere.
    if (error instanceof SendError && (error.kind === "not_seated" || error.kind === "closed")) return;
    this.lastError = error instanceof Error ? error.message : String(error);
    this.changed();
  }
}
