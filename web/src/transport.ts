// A WebTransport session as the client uses it: one control stream, datagrams, one end.
import { describeClose, type Closed } from "./close.js";
import { encodeFrame, FrameDecoder } from "./framing.js";
import { decodeServerMessage, encodeClientMessage, type ClientMessage, type ServerMessage } from "./messages.js";
import type { Stats } from "./stats.js";

/** What `new WebTransport(url, options)` is in this environment, or a stand-in for it. */
export type WebTransportConstructor = new (url: string, options?: WebTransportOptions) => WebTransport;

/** The subprotocol that is offered. */
export const SUBPROTOCOL = "atoll.1";

/** Datagrams that may wait in the browser for the page; older ones are dropped there. */
const INCOMING_DATAGRAMS = 512;
/** Older news than this is no news. */
const INCOMING_MAX_AGE_MS = 1_000;
/** Datagrams that may wait to be sent. */
const OUTGOING_DATAGRAMS = 64;
/** How long a session whose streams broke may take to say why. */
const CLOSE_GRACE_MS = 1_000;

/** Both shapes that browsers give the sending side. */
type Datagrams = Omit<WebTransportDatagramDuplexStream, "writable"> & {
  readonly writable?: WritableStream<Uint8Array>;
  readonly createWritable?: () => WritableStream<Uint8Array>;
};

/** How a session ends. Never rejects. */
export function closing(session: WebTransport): Promise<Closed> {
  return session.closed.then(
    (info) => describeClose(info.closeCode ?? 0, info.reason ?? ""),
    (error: unknown) => describeClose(null, error instanceof Error ? error.message : String(error)),
  );
}

/** For a session whose streams ended: the close code if it still comes, a lost connection otherwise. */
export function closingSoon(closed: Promise<Closed>, reason: string): Promise<Closed> {
  return Promise.race([
    closed,
    new Promise<Closed>((resolve) => setTimeout(() => resolve(describeClose(null, reason)), CLOSE_GRACE_MS)),
  ]);
}

/** The client's first bidirectional stream. */
export class ControlStream {
  readonly #writer: WritableStreamDefaultWriter<Uint8Array>;
  /** What the edge says. Throws `FrameError`, or what the stream fails with. */
  readonly messages: AsyncGenerator<ServerMessage, void, undefined>;

  constructor(stream: { readable: ReadableStream<Uint8Array>; writable: WritableStream<Uint8Array> }, stats: Stats) {
    this.#writer = stream.writable.getWriter();
    this.messages = readMessages(stream.readable, stats);
  }

  /** Resolves when the message was handed on; rejects with what the stream fails with. */
  send(message: ClientMessage): Promise<void> {
    return this.#writer.write(encodeFrame(encodeClientMessage(message)));
  }

  /** Sends unless the stream is behind, and answers whether it did: for what is soon repeated. */
  sendIfReady(message: ClientMessage): boolean {
    const room = this.#writer.desiredSize;
    if (room === null || room <= 0) return false;
    // A failing stream ends the session; that is told there.
    this.send(message).catch(() => undefined);
    return true;
  }
}

async function* readMessages(
  readable: ReadableStream<Uint8Array>,
  stats: Stats,
): AsyncGenerator<ServerMessage, void, undefined> {
  const reader = readable.getReader();
  const decoder = new FrameDecoder();
  for (;;) {
    const { value, done } = await reader.read();
    if (done) return;
    for (const bytes of decoder.push(value)) {
      const message = readMessage(bytes);
      if (message === null) {
        stats.droppedMessages++;
        continue;
      }
      stats.messagesReceived++;
      yield message;
    }
  }
}

function readMessage(bytes: Uint8Array): ServerMessage | null {
  try {
    return decodeServerMessage(bytes);
  } catch {
    return null;
  }
}

/** The datagrams of a session. */
export class DatagramChannel {
  readonly #datagrams: Datagrams;
  readonly #writer: WritableStreamDefaultWriter<Uint8Array>;
  #unsent = 0;

  /** Throws `TypeError` when the session has no datagrams. */
  constructor(session: WebTransport) {
    const datagrams = session.datagrams as Datagrams | undefined;
    const writable = datagrams?.createWritable?.() ?? datagrams?.writable;
    if (datagrams === undefined || writable === undefined) throw new TypeError("this session has no datagrams");
    // By default a browser holds a single datagram for a page that is not reading at this moment.
    datagrams.incomingHighWaterMark = INCOMING_DATAGRAMS;
    datagrams.incomingMaxAge = INCOMING_MAX_AGE_MS;
    this.#datagrams = datagrams;
    this.#writer = writable.getWriter();
  }

  /** Largest datagram that the browser sends; above it, Chromium drops without a word. */
  get maxBytes(): number {
    const size = this.#datagrams.maxDatagramSize;
    return Number.isFinite(size) && size > 0 ? size : Number.POSITIVE_INFINITY;
  }

  /** Sends, unless too many wait already; answers whether it did. */
  send(bytes: Uint8Array): boolean {
    if (this.#unsent >= OUTGOING_DATAGRAMS) return false;
    this.#unsent++;
    const settled = () => void this.#unsent--;
    this.#writer.write(bytes).then(settled, settled);
    return true;
  }

  /** Calls `receive` for each datagram until there are no more. Never rejects. */
  async readAll(receive: (bytes: Uint8Array) => void): Promise<void> {
    try {
      const reader = (this.#datagrams.readable as ReadableStream<Uint8Array>).getReader();
      for (;;) {
        const { value, done } = await reader.read();
        if (done) return;
        receive(value);
      }
    } catch {
      // The session's end, which is told there.
    }
  }
}
