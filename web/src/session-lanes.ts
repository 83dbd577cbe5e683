// The lanes of a session, over one connection after another: what is sent is kept until it is acknowledged, what
// arrives is handed on once.
import type { Carrier } from "./carrier.js";
import { SendError } from "./errors.js";
import { encodeFrame, MAX_LARGE_HEADER_BYTES, MAX_ORDERED_FRAME_BYTES } from "./framing.js";
import {
  decodeOrdered,
  encodeLarge,
  encodeOrdered,
  type Gap,
  type Large,
  type Ordered,
  type Received,
} from "./lane-messages.js";
import { LARGE_BOUNDS, LargeIncoming, ORDERED_BOUNDS, OrderedIncoming, Outgoing, type Item } from "./lanes.js";
import type { LargeItem } from "./large-decoder.js";
import { encodeClientMessage } from "./messages.js";

/** The two lanes. */
export type Lane = "ordered" | "large";

/** Takes what arrives, each message once. */
export interface LaneListener {
  ordered(message: Ordered): void;
  large(header: Large, payload: Uint8Array): void;
  gap(lane: Lane, gap: Gap): void;
  /** A message that was here before. */
  repeated(): void;
}

interface Outbound {
  tag: number;
  payload: Uint8Array;
}

/** What writes to one connection. */
interface Pump {
  carrier: Carrier;
  writingOrdered: boolean;
  writingLarge: number;
}

const ACKNOWLEDGE_WITHIN_MS = 250;
/** So many messages are acknowledged at once. */
const ACKNOWLEDGE_AFTER = 32;
/** Large ones sooner, because their sender waits for it. */
const ACKNOWLEDGE_LARGE_AFTER = 8;

/** Both lanes of a session, in both directions. */
export class SessionLanes {
  readonly #listener: LaneListener;
  readonly #ordered = new Outgoing<Outbound>(ORDERED_BOUNDS);
  readonly #large = new Outgoing<Outbound>(LARGE_BOUNDS);
  readonly #orderedIn = new OrderedIncoming();
  readonly #largeIn = new LargeIncoming();
  #pump: Pump | null = null;
  #dueOrdered = 0;
  #dueLarge = 0;
  #acknowledgement: ReturnType<typeof setTimeout> | undefined;

  constructor(listener: LaneListener) {
    this.#listener = listener;
  }

  /** What this side has. */
  get received(): Received {
    return { ordered: this.#orderedIn.received, large: this.#largeIn.received, largeBeyond: this.#largeIn.beyond };
  }

  /** Messages sent that the edge has not acknowledged. */
  get unacknowledged(): Record<Lane, number> {
    return { ordered: this.#ordered.length, large: this.#large.length };
  }

  /** Sends a copy of `payload`, now or over the next connection. Throws `SendError` of kind `full`. */
  send(lane: Lane, tag: number, payload: Uint8Array): void {
    const outgoing = lane === "ordered" ? this.#ordered : this.#large;
    const now = performance.now();
    if (outgoing.isFull(now, payload.length)) {
      throw new SendError("full", `too much of the ${lane} lane waits to be acknowledged`);
    }
    outgoing.push(now, payload.length, { tag, payload: payload.slice() });
    this.#write();
  }

  /**
   * Goes on over this connection, with what the other side lacks. Throws `LaneError` when `resumed` cannot be true.
   */
  attach(carrier: Carrier, resumed: Received): void {
    this.detach();
    this.#ordered.rewind(resumed.ordered);
    this.#large.rewind(resumed.large, resumed.largeBeyond);
    this.#pump = { carrier, writingOrdered: false, writingLarge: 0 };
    this.#write();
  }

  /** The connection is lost: nothing is written until the next. */
  detach(): void {
    this.#pump = null;
    this.#dueOrdered = 0;
    this.#dueLarge = 0;
    clearTimeout(this.#acknowledgement);
    this.#acknowledgement = undefined;
  }

  /** The other side has this. Throws `LaneError` when that cannot be. */
  acknowledge(received: Received): void {
    this.#ordered.acknowledge(received.ordered);
    this.#large.acknowledge(received.large, received.largeBeyond);
    this.#write();
  }

  /** Takes a frame of the ordered stream. Throws `LaneError`, `DecodeError`. */
  takeOrdered(frame: Uint8Array): void {
    const message = decodeOrdered(frame);
    if (message.case === "unknown") return;
    if (message.case === "gap") {
      for (const gap of this.#orderedIn.gap(message)) this.#listener.gap("ordered", gap);
    } else if (this.#orderedIn.accept(message.number)) this.#listener.ordered(message);
    else this.#listener.repeated();
    this.#dueOrdered++;
    this.#acknowledgeSoon();
  }

  /** Takes a large message. Throws `LaneError`. */
  takeLarge(item: LargeItem): void {
    if (item.case === "gap") {
      for (const gap of this.#largeIn.gap(item)) this.#listener.gap("large", gap);
    } else if (this.#largeIn.accept(item.header.number)) this.#listener.large(item.header, item.payload);
    else this.#listener.repeated();
    this.#dueLarge++;
    this.#acknowledgeSoon();
  }

  #acknowledgeSoon(): void {
    if (this.#dueOrdered + this.#dueLarge >= ACKNOWLEDGE_AFTER || this.#dueLarge >= ACKNOWLEDGE_LARGE_AFTER) {
      this.#acknowledgeNow();
    } else this.#acknowledgement ??= setTimeout(() => this.#acknowledgeNow(), ACKNOWLEDGE_WITHIN_MS);
  }

  #acknowledgeNow(): void {
    clearTimeout(this.#acknowledgement);
    this.#acknowledgement = undefined;
    this.#dueOrdered = 0;
    this.#dueLarge = 0;
    void this.#pump?.carrier.sendControl(encodeClientMessage({ case: "received", received: this.received }));
  }

  #write(): void {
    const pump = this.#pump;
    if (pump === null) return;
    if (!pump.writingOrdered) void this.#writeOrdered(pump);
    while (pump.writingLarge < pump.carrier.largeAtOnce) {
      const item = this.#large.next(performance.now());
      if (item === null) return;
      void this.#writeLarge(pump, item);
    }
  }

  async #writeOrdered(pump: Pump): Promise<void> {
    pump.writingOrdered = true;
    try {
      while (this.#pump === pump) {
        const item = this.#ordered.next(performance.now());
        if (item === null) break;
        await pump.carrier.sendOrdered(orderedFrame(item));
      }
      pump.writingOrdered = false;
    } catch {
      // The connection's end, which it tells itself; nothing is written to it any more.
    }
  }

  async #writeLarge(pump: Pump, item: Item<Outbound>): Promise<void> {
    pump.writingLarge++;
    try {
      await pump.carrier.sendLarge(largeFrame(item), item.case === "gap" ? new Uint8Array(0) : item.message.payload);
      pump.writingLarge--;
    } catch {
      return;
    }
    if (this.#pump === pump) this.#write();
  }
}

function orderedFrame(item: Item<Outbound>): Uint8Array {
  const frame =
    item.case === "gap" ? item : { case: "ordered" as const, ...item.message, number: item.number, sender: null };
  return encodeFrame(encodeOrdered(frame), MAX_ORDERED_FRAME_BYTES);
}

function largeFrame(item: Item<Outbound>): Uint8Array {
  if (item.case === "gap") return encodeFrame(encodeLarge(item), MAX_LARGE_HEADER_BYTES);
  const { tag, payload } = item.message;
  const header = { case: "large" as const, tag, number: item.number, sender: null, length: payload.length };
  return encodeFrame(encodeLarge(header), MAX_LARGE_HEADER_BYTES);
}
