// A WebTransport session as a carrier: the control stream, streams for the two lanes, datagrams, one end.
import type { Carrier, Receiver } from "./carrier.js";
import { describeClose, MALFORMED, type Closed } from "./close.js";
import { encodeFrame, FrameDecoder, MAX_ORDERED_FRAME_BYTES } from "./framing.js";
import { LARGE_STREAM, MAX_LARGE_BYTES, ORDERED_STREAM } from "./lane-streams.js";
import { LargeDecoder } from "./large-decoder.js";

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
/** Streams of the edge that are read at the same time. */
const STREAMS_AT_ONCE = 32;
const LARGE_AT_ONCE = 4;

/** Both shapes that browsers give the sending side. */
type Datagrams = Omit<WebTransportDatagramDuplexStream, "writable"> & {
  readonly writable?: WritableStream<Uint8Array>;
  readonly createWritable?: () => WritableStream<Uint8Array>;
};

type Bytes = ReadableStream<Uint8Array>;

/** A session that is ready, with its control stream open. */
export class WebTransportCarrier implements Carrier {
  readonly way = "webtransport";
  readonly largeAtOnce = LARGE_AT_ONCE;
  readonly closed: Promise<Closed>;
  readonly #session: WebTransport;
  readonly #datagrams: Datagrams;
  readonly #datagramWriter: WritableStreamDefaultWriter<Uint8Array>;
  readonly #control: { readable: Bytes; writer: WritableStreamDefaultWriter<Uint8Array> };
  #ordered: Promise<WritableStreamDefaultWriter<Uint8Array>> | null = null;
  #unsentDatagrams = 0;
  #end!: (closed: Closed) => void;

  /** Takes a session over. Rejects with `TypeError` when it has no datagrams, or with what the session fails with. */
  static async open(session: WebTransport): Promise<WebTransportCarrier> {
    await session.ready;
    const datagrams = session.datagrams as Datagrams | undefined;
    const writable = datagrams?.createWritable?.() ?? datagrams?.writable;
    if (datagrams === undefined || writable === undefined) throw new TypeError("this session has no datagrams");
    const { readable, writable: control } = await session.createBidirectionalStream();
    return new WebTransportCarrier(session, datagrams, writable.getWriter(), { readable, writer: control.getWriter() });
  }

  private constructor(
    session: WebTransport,
    datagrams: Datagrams,
    datagramWriter: WritableStreamDefaultWriter<Uint8Array>,
    control: { readable: Bytes; writer: WritableStreamDefaultWriter<Uint8Array> },
  ) {
    // By default a browser holds a single datagram for a page that is not reading at this moment.
    datagrams.incomingHighWaterMark = INCOMING_DATAGRAMS;
    datagrams.incomingMaxAge = INCOMING_MAX_AGE_MS;
    this.#session = session;
    this.#datagrams = datagrams;
    this.#datagramWriter = datagramWriter;
    this.#control = control;
    this.closed = new Promise((resolve) => (this.#end = resolve));
    void closing(session).then(this.#end);
  }

  /** Above this, Chromium drops without a word. */
  get maxDatagramBytes(): number {
    const size = this.#datagrams.maxDatagramSize;
    return Number.isFinite(size) && size > 0 ? size : Number.POSITIVE_INFINITY;
  }

  get isBehind(): boolean {
    return (this.#control.writer.desiredSize ?? 0) <= 0;
  }

  start(receiver: Receiver): void {
    void this.#readControl(receiver);
    void this.#readDatagrams(receiver);
    void this.#readStreams(receiver);
  }

  async sendControl(message: Uint8Array): Promise<void> {
    await this.#control.writer.write(encodeFrame(message)).catch(() => this.#lose("the control stream broke"));
  }

  sendDatagram(bytes: Uint8Array): boolean {
    if (this.#unsentDatagrams >= OUTGOING_DATAGRAMS) return false;
    this.#unsentDatagrams++;
    const settled = () => void this.#unsentDatagrams--;
    this.#datagramWriter.write(bytes).then(settled, settled);
    return true;
  }

  async sendOrdered(frame: Uint8Array): Promise<void> {
    try {
      this.#ordered ??= this.#openStream(ORDERED_STREAM);
      await (await this.#ordered).write(frame);
    } catch (error) {
      this.#lose("the ordered stream broke");
      throw error;
    }
  }

  async sendLarge(header: Uint8Array, payload: Uint8Array): Promise<void> {
    let writer: WritableStreamDefaultWriter<Uint8Array>;
    try {
      writer = await this.#openStream(LARGE_STREAM);
      await writer.write(header);
      if (payload.length > 0) await writer.write(payload);
    } catch (error) {
      // What was handed out is not handed out again on this connection: another one must be had.
      this.#lose("a large stream broke");
      throw error;
    }
    // Nothing is missing but the end. An edge that has read as many bytes as the header says may stop the stream before
    // the end is there, and then this fails (in Chromium 156 with "Received STOP_SENDING."), although all went well. If
    // the connection broke instead, it says so itself; what was not acknowledged is sent again over the next.
    await writer.close().catch(() => undefined);
  }

  close(code: number, reason: string): void {
    this.#end(describeClose(code, reason));
    closeSession(this.#session, code, reason);
  }

  async #openStream(type: number): Promise<WritableStreamDefaultWriter<Uint8Array>> {
    const writer = (await this.#session.createUnidirectionalStream()).getWriter();
    await writer.write(Uint8Array.of(type));
    return writer;
  }

  /** The session may still stand and is not closed: that would end it for good, and another connection can take it up. */
  #lose(reason: string): void {
    setTimeout(() => this.#end(describeClose(null, reason)), CLOSE_GRACE_MS);
  }

  async #readControl(receiver: Receiver): Promise<void> {
    const decoder = new FrameDecoder();
    await this.#readAll(this.#control.readable, (bytes) => {
      for (const message of decoder.push(bytes)) if (message.length > 0) receiver.control(message);
      return true;
    });
    this.#lose("the control stream ended");
  }

  async #readDatagrams(receiver: Receiver): Promise<void> {
    await this.#readAll(this.#datagrams.readable as Bytes, (bytes) => {
      receiver.datagram(bytes);
      return true;
    });
  }

  async #readStreams(receiver: Receiver): Promise<void> {
    const open = new Set<Promise<void>>();
    try {
      const streams = (this.#session.incomingUnidirectionalStreams as ReadableStream<Bytes>).getReader();
      for (;;) {
        const { value: stream, done } = await streams.read();
        if (done) return;
        const reading: Promise<void> = this.#readStream(stream, receiver).finally(() => open.delete(reading));
        open.add(reading);
        if (open.size >= STREAMS_AT_ONCE) await Promise.race(open);
      }
    } catch {
      // The session's end, which `closed` tells.
    }
  }

  /** Reads a stream of the edge; one of a type that is not known is stopped. */
  async #readStream(stream: Bytes, receiver: Receiver): Promise<void> {
    const ordered = new FrameDecoder(MAX_ORDERED_FRAME_BYTES);
    const large = new LargeDecoder(MAX_LARGE_BYTES);
    let type: number | undefined;
    await this.#readAll(stream, (bytes) => {
      if (bytes.length === 0) return true;
      const rest = type === undefined ? bytes.subarray(1) : bytes;
      type ??= bytes[0];
      if (type === ORDERED_STREAM) {
        for (const message of ordered.push(rest)) if (message.length > 0) receiver.ordered(message);
        return true;
      }
      if (type === LARGE_STREAM) for (const item of large.push(rest)) receiver.large(item);
      return type === LARGE_STREAM;
    });
  }

  /** Reads until the stream ends or breaks, or `take` answers false. What `take` throws ends the session. */
  async #readAll(stream: Bytes, take: (bytes: Uint8Array) => boolean): Promise<void> {
    const reader = stream.getReader();
    for (;;) {
      let chunk: ReadableStreamReadResult<Uint8Array>;
      try {
        chunk = await reader.read();
      } catch {
        return;
      }
      if (chunk.done) return;
      try {
        if (take(chunk.value)) continue;
      } catch (error) {
        this.close(MALFORMED, error instanceof Error ? error.message : String(error));
      }
      await reader.cancel().catch(() => undefined);
      return;
    }
  }
}

/** Closes a session that may be closed already. */
export function closeSession(session: WebTransport, code: number, reason: string): void {
  try {
    session.close({ closeCode: code, reason });
  } catch {
    // It was.
  }
}

/** How a session ends. Never rejects. */
export function closing(session: WebTransport): Promise<Closed> {
  return session.closed.then(
    (info) => describeClose(info.closeCode ?? 0, info.reason ?? ""),
    (error: unknown) => describeClose(null, error instanceof Error ? error.message : String(error)),
  );
}
