// One connection, whatever carries it: a control stream, two lanes and datagrams, up and down, and one end.
import type { Closed } from "./close.js";
import type { LargeItem } from "./large-decoder.js";

/** What carries a session. */
export type Way = "webtransport" | "websocket";

/** Takes what a connection brings, whole messages all of them. */
export interface Receiver {
  control(message: Uint8Array): void;
  ordered(message: Uint8Array): void;
  large(item: LargeItem): void;
  datagram(bytes: Uint8Array): void;
}

/** An open connection. */
export interface Carrier {
  readonly way: Way;
  /** How it ended, also when this side closed it. Never rejects. */
  readonly closed: Promise<Closed>;
  /** Largest datagram it takes. */
  readonly maxDatagramBytes: number;
  /** Large messages that may be written at the same time. */
  readonly largeAtOnce: number;
  /** Whether control messages wait to be sent: what is soon repeated is then better left out. */
  readonly isBehind: boolean;
  /** Begins to read. Whatever `receiver` throws ends the connection with 4006. Called once. */
  start(receiver: Receiver): void;
  /**
   * Sends a control message, without its length. Resolves when it was handed on; what fails is told by `closed` alone.
   */
  sendControl(message: Uint8Array): Promise<void>;
  /** Sends a datagram unless too many wait; answers whether it did. */
  sendDatagram(bytes: Uint8Array): boolean;
  /** Writes a frame of the ordered stream, its length included. Resolves when there is room for the next. */
  sendOrdered(frame: Uint8Array): Promise<void>;
  /** Writes a large message: its header, with its length, and its payload. Resolves when all was handed on. */
  sendLarge(header: Uint8Array, payload: Uint8Array): Promise<void>;
  /** Ends the connection. May be called again; the first call counts. */
  close(code: number, reason: string): void;
}

/** Holds back what a connection brings until somebody takes it. Control messages can be taken one by one before. */
export class Inbox implements Receiver {
  #held: Array<(receiver: Receiver) => void> = [];
  #control: Uint8Array[] = [];
  #wake: (() => void) | null = null;
  #receiver: Receiver | null = null;

  control(message: Uint8Array): void {
    if (this.#receiver !== null) return this.#receiver.control(message);
    this.#bound(this.#control);
    this.#control.push(message);
    this.#wake?.();
  }

  ordered(message: Uint8Array): void {
    this.#hand((receiver) => receiver.ordered(message));
  }

  large(item: LargeItem): void {
    this.#hand((receiver) => receiver.large(item));
  }

  datagram(bytes: Uint8Array): void {
    this.#hand((receiver) => receiver.datagram(bytes));
  }

  /** The next control message. Stays pending when none comes. */
  async nextControl(): Promise<Uint8Array> {
    for (;;) {
      const message = this.#control.shift();
      if (message !== undefined) return message;
      await new Promise<void>((resolve) => (this.#wake = resolve));
    }
  }

  /** From now on, and for what was held back, `receiver` takes everything. */
  deliver(receiver: Receiver): void {
    this.#receiver = receiver;
    const [control, held] = [this.#control, this.#held];
    this.#control = [];
    this.#held = [];
    for (const message of control) receiver.control(message);
    for (const hand of held) hand(receiver);
  }

  #hand(hand: (receiver: Receiver) => void): void {
    if (this.#receiver !== null) return hand(this.#receiver);
    this.#bound(this.#held);
    this.#held.push(hand);
  }

  #bound(queue: unknown[]): void {
    if (queue.length >= HELD) throw new Error("too much before the login was over");
  }
}

/** Messages of each sort that an `Inbox` holds back at most. */
const HELD = 1_024;
