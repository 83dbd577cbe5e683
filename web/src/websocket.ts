// A WebSocket as a carrier, where UDP is blocked: every binary message is a channel byte and bytes of that channel.
import type { Carrier, Receiver } from "./carrier.js";
import { CLOSED, describeClose, MALFORMED, type Closed } from "./close.js";
import { encodeFrame, FrameDecoder, FrameError, MAX_ORDERED_FRAME_BYTES } from "./framing.js";
import { Channel, LARGE_SLICE_BYTES, MAX_LARGE_BYTES, MAX_WEBSOCKET_BYTES } from "./lane-streams.js";
import { LargeDecoder } from "./large-decoder.js";

/** What `new WebSocket(url, protocols)` is in this environment, or a stand-in for it. */
export type WebSocketConstructor = new (url: string, protocols: string[]) => WebSocket;

/** Above this, datagrams are dropped and the lanes wait. */
const BUFFERED_BYTES = 65_536;
/** A browser does not tell when its buffer drains. */
const DRAIN_POLL_MS = 10;
/** The close code that stands for 0. */
const NORMAL = 1_000;
/** The codes that an application gives are these and above. */
const FIRST_APPLICATION_CODE = 4_000;
/** Longest reason of a close, in bytes. */
const MAX_REASON_BYTES = 123;
/** The edge says something every 5 s; as long as this without a word is a loss. */
const SILENCE_MS = 15_000;

/** An open WebSocket. */
export class WebSocketCarrier implements Carrier {
  readonly way = "websocket";
  readonly largeAtOnce = 1;
  readonly maxDatagramBytes = Number.POSITIVE_INFINITY;
  readonly closed: Promise<Closed>;
  readonly #socket: WebSocket;
  #silence: ReturnType<typeof setTimeout> | undefined;
  #ended = false;
  #resolveClosed!: (closed: Closed) => void;

  /** Takes over a socket that connects. Rejects when it does not open. */
  static open(socket: WebSocket): Promise<WebSocketCarrier> {
    socket.binaryType = "arraybuffer";
    return new Promise((resolve, reject) => {
      socket.addEventListener("open", () => resolve(new WebSocketCarrier(socket)), { once: true });
      // An `error` says nothing, and a `close` follows it.
      socket.addEventListener("close", ({ code }) => reject(new Error(`the WebSocket did not open (${code})`)), { once: true });
    });
  }

  private constructor(socket: WebSocket) {
    this.#socket = socket;
    this.closed = new Promise((resolve) => (this.#resolveClosed = resolve));
    socket.addEventListener("close", ({ code, reason }) => this.#end(describeClose(meaning(code), reason)));
  }

  get isBehind(): boolean {
    return this.#socket.bufferedAmount > BUFFERED_BYTES;
  }

  start(receiver: Receiver): void {
    const control = new FrameDecoder();
    const ordered = new FrameDecoder(MAX_ORDERED_FRAME_BYTES);
    const large = new LargeDecoder(MAX_LARGE_BYTES);
    const take = (message: Uint8Array): void => {
      if (message.length > MAX_WEBSOCKET_BYTES) throw new FrameError(`a WebSocket message of ${message.length} bytes`);
      const bytes = message.subarray(1);
      switch (message[0]) {
        case Channel.Control:
          for (const item of control.push(bytes)) if (item.length > 0) receiver.control(item);
          return;
        case Channel.Ordered:
          for (const item of ordered.push(bytes)) if (item.length > 0) receiver.ordered(item);
          return;
        case Channel.Large:
          for (const item of large.push(bytes)) receiver.large(item);
          return;
        case Channel.Datagram:
          receiver.datagram(bytes);
          return;
        default:
          throw new FrameError("an empty WebSocket message, or one of no known channel");
      }
    };
    this.#socket.addEventListener("message", ({ data }) => {
      if (this.#ended) return;
      this.#watch();
      try {
        if (!(data instanceof ArrayBuffer)) throw new FrameError("a WebSocket message that is text");
        take(new Uint8Array(data));
      } catch (error) {
        this.close(MALFORMED, error instanceof Error ? error.message : String(error));
      }
    });
    this.#watch();
  }

  async sendControl(message: Uint8Array): Promise<void> {
    this.#send(Channel.Control, encodeFrame(message));
    await this.#drained().catch(() => undefined);
  }

  sendDatagram(bytes: Uint8Array): boolean {
    if (this.isBehind) return false;
    this.#send(Channel.Datagram, bytes);
    return true;
  }

  async sendOrdered(frame: Uint8Array): Promise<void> {
    this.#send(Channel.Ordered, frame);
    await this.#drained();
  }

  async sendLarge(header: Uint8Array, payload: Uint8Array): Promise<void> {
    this.#send(Channel.Large, header);
    for (let at = 0; at < payload.length; at += LARGE_SLICE_BYTES) {
      this.#send(Channel.Large, payload.subarray(at, at + LARGE_SLICE_BYTES));
      await this.#drained();
    }
  }

  close(code: number, reason: string): void {
    this.#end(describeClose(code, reason));
    this.#socket.close(code === CLOSED ? NORMAL : code, cut(reason));
  }

  /** Rejects when the socket ended: what was not sent is not sent any more. */
  async #drained(): Promise<void> {
    while (!this.#ended && this.isBehind) await new Promise((resolve) => setTimeout(resolve, DRAIN_POLL_MS));
    if (this.#ended) throw new Error("the WebSocket has ended");
  }

  #send(channel: Channel, bytes: Uint8Array): void {
    if (this.#ended) return;
    const message = new Uint8Array(1 + bytes.length);
    message[0] = channel;
    message.set(bytes, 1);
    this.#socket.send(message);
  }

  /** Not closed when nothing comes: a close that arrives after all would end the session, which can be resumed. */
  #watch(): void {
    clearTimeout(this.#silence);
    this.#silence = setTimeout(() => this.#end(describeClose(null, `nothing came for ${SILENCE_MS} ms`)), SILENCE_MS);
  }

  #end(closed: Closed): void {
    this.#ended = true;
    clearTimeout(this.#silence);
    this.#resolveClosed(closed);
  }
}

/** What a WebSocket's close code says in this protocol: `null`, a loss, for all that the edge did not choose. */
function meaning(code: number): number | null {
  if (code === NORMAL) return CLOSED;
  return code >= FIRST_APPLICATION_CODE ? code : null;
}

function cut(reason: string): string {
  const bytes = new TextEncoder().encode(reason);
  if (bytes.length <= MAX_REASON_BYTES) return reason;
  // A character that was cut in two is left out.
  return new TextDecoder().decode(bytes.subarray(0, MAX_REASON_BYTES)).replace(/\uFFFD$/, "");
}
