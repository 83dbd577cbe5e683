// Large messages from bytes: a header with its length in front, then as many bytes of payload as it says.
import { FrameError, readLength, MAX_LARGE_HEADER_BYTES } from "./framing.js";
import { decodeLarge, type Gap, type Large } from "./lane-messages.js";

/** What a large stream held. */
export type LargeItem = { case: "large"; header: Large; payload: Uint8Array } | ({ case: "gap" } & Gap);

/** Cuts bytes, however split, into large messages. Holds one unfinished message of at most `limit` bytes. */
export class LargeDecoder {
  readonly #limit: number;
  #pending: Uint8Array = new Uint8Array(0);
  #open: { header: Large; payload: Uint8Array; filled: number } | null = null;

  constructor(limit: number) {
    this.#limit = limit;
  }

  /** Yields what `chunk` completes. Throws `FrameError` or `DecodeError` when the stream cannot be read on. */
  *push(chunk: Uint8Array): Generator<LargeItem> {
    let rest = chunk;
    for (;;) {
      if (this.#open === null) {
        const after = this.#readHeader(rest);
        if (after === null) return;
        rest = after.rest;
        if (after.gap !== null) yield after.gap;
        if (this.#open === null) continue;
      }
      const { header, payload, filled } = this.#open;
      const part = rest.subarray(0, payload.length - filled);
      payload.set(part, filled);
      this.#open.filled += part.length;
      rest = rest.subarray(part.length);
      if (this.#open.filled < payload.length) return;
      this.#open = null;
      yield { case: "large", header, payload };
    }
  }

  /** Takes a header off the bytes; `null` when they do not hold a whole one. */
  #readHeader(bytes: Uint8Array): { rest: Uint8Array; gap: LargeItem | null } | null {
    const before = this.#pending;
    const joined = new Uint8Array(before.length + bytes.length);
    joined.set(before);
    joined.set(bytes, before.length);
    const prefix = readLength(joined, MAX_LARGE_HEADER_BYTES);
    const end = prefix === null ? Number.POSITIVE_INFINITY : prefix.end + prefix.length;
    if (prefix === null || joined.length < end) {
      this.#pending = joined;
      return null;
    }
    this.#pending = new Uint8Array(0);
    const header = decodeLarge(joined.subarray(prefix.end, end));
    const rest = joined.subarray(end);
    if (header.case === "gap") return { rest, gap: header };
    if (header.case === "unknown") throw new FrameError("a large stream without a header");
    if (header.length > this.#limit) throw new FrameError(`a large message of ${header.length} bytes`);
    this.#open = { header, payload: new Uint8Array(header.length), filled: 0 };
    return { rest, gap: null };
  }
}
