// One person's stay in the region: connects, walks, hears, and connects again when that is advised.
import { connect, ConnectError, Kind, rfc4, type AtollClient, type Closed, type Packet, type Stats } from "../src/index.js";
import { Avatars } from "./avatars.js";
import { shortAddress } from "./map.js";
import type { Identity } from "./wallet.js";
import { Walker } from "./walker.js";

/** Where the connection stands. */
export type ConnectionState = "connecting" | "waiting for an island" | "on an island" | "disconnected";

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
  said = "";
  saidUntil = 0;
  changed: () => void = () => undefined;

  readonly #edge: string;
  readonly #identity: Identity;
  #client: AtollClient | null = null;
  #index = 0;
  #lastUpdate = { x: Number.NaN, z: Number.NaN, at: Number.NEGATIVE_INFINITY };
  #lastMove = { x: Number.NaN, z: Number.NaN };
  #lastStep = performance.now();

  constructor(edge: string, identity: Identity, start: { x: number; z: number }) {
    this.#edge = edge;
    this.#identity = identity;
    this.address = identity.address;
    this.walker = new Walker(start.x, start.z);
    setInterval(() => this.#step(), STEP_MS);
  }

  /** Counters of the current session, or `null`. */
  get stats(): Readonly<Stats> | null {
    return this.#client?.stats ?? null;
  }

  /** Connects, and again after each end, as long as that is advised. */
  async stay(): Promise<void> {
    for (let wait = FIRST_RETRY_MS; ; wait = Math.min(wait * 2, LAST_RETRY_MS)) {
      this.#enter("connecting");
      this.closed = null;
      let hopeless = false;
      try {
        const client = await connect(this.#edge, this.#identity);
        wait = FIRST_RETRY_MS;
        this.closed = await this.#live(client);
        this.lastError = `closed: ${this.closed.name}${this.closed.reason === "" ? "" : ` (${this.closed.reason})`}`;
      } catch (error) {
        this.lastError = error instanceof Error ? error.message : String(error);
        if (error instanceof ConnectError) this.closed = error.closed;
        hopeless = error instanceof ConnectError && error.kind === "unsupported";
      }
      this.#leave();
      if (hopeless || this.closed?.retry === "do not retry") return;
      // Not all at once, after an edge that ended for everybody.
      await new Promise((resolve) => setTimeout(resolve, wait * (0.5 + Math.random())));
    }
  }

  /** Says something to the island; answers whether that was possible. */
  say(text: string): boolean {
    if (this.#client === null || text === "") return false;
    try {
      this.#client.sendEvent(rfc4.encodeChat({ message: text, timestamp: Date.now() }));
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
    this.#client = client;
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
    client.on("packet", (packet) => this.#hear(packet));
    client.on("error", (refusal) => {
      this.lastError = `${refusal.name}: ${refusal.reason} (${refusal.count})`;
      this.changed();
    });
    this.#lastMove = { x: Number.NaN, z: Number.NaN };
    return client.closed;
  }

  #leave(): void {
    this.#client = null;
    this.islandId = null;
    this.tag = null;
    this.#setMembers([]);
    this.#enter("disconnected");
  }

  #enter(state: ConnectionState): void {
    this.state = state;
    this.changed();
  }

  #setMembers(names: string[]): void {
    this.members = names;
    this.avatars.keep(new Set(names), performance.now());
    this.changed();
  }

  #hear({ address, kind, payload }: Packet): void {
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
    if (this.#client === null) return;
    const { x, z } = this.walker;
    try {
      if (x !== this.#lastMove.x || z !== this.#lastMove.z) {
        this.#client.move({ x, y: 0, z });
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
    this.#client?.sendUpdate(
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
    this.lastError = error instanceof Error ? error.message : String(error);
    this.changed();
  }
}
