// Streams of messages: each has its length in front of it, as a varint of at most 3 bytes.

/** Largest message on the control stream, in bytes, without its length. */
export const MAX_MESSAGE_BYTES = 65_536;

/** Largest frame of the ordered stream: a payload of 65,536 bytes and what stands around it. */
export const MAX_ORDERED_FRAME_BYTES = 65_792;
/** Largest header of a large message. */
export const MAX_LARGE_HEADER_BYTES = 512;

/** A length that no message may have; the stream cannot be read on. */
export class FrameError extends Error {
  override readonly name = "FrameError";
}

const MAX_LENGTH_BYTES = 3;
/** Frames without content that may come in a row. */
const MAX_EMPTY = 64;

/** Puts the length in front of a message. Throws `FrameError` when the message is above the limit. */
export function encodeFrame(message: Uint8Array, limit: number = MAX_MESSAGE_BYTES): Uint8Array<ArrayBuffer> {
  if (message.length > limit) throw new FrameError(`a message of ${message.length} bytes`);
  const length: number[] = [];
  let rest = message.length;
  while (rest >= 0x80) {
    length.push((rest & 0x7f) | 0x80);
    rest >>>= 7;
  }
  length.push(rest);
  const frame = new Uint8Array(length.length + message.length);
  frame.set(length);
  frame.set(message, length.length);
  return frame;
}

/** Cuts a stream of bytes, however split, into messages. Holds one unfinished message at most. */
export class FrameDecoder {
  readonly #limit: number;
  #pending: Uint8Array = new Uint8Array(0);
  #empty = 0;

  constructor(limit: number = MAX_MESSAGE_BYTES) {
    this.#limit = limit;
  }

  /** Yields the messages that `chunk` completes. Throws `FrameError` when the stream cannot be read on. */
  *push(chunk: Uint8Array): Generator<Uint8Array> {
    this.#pending = this.#pending.length === 0 ? chunk : join(this.#pending, chunk);
    for (;;) {
      const prefix = readLength(this.#pending, this.#limit);
      if (prefix === null || this.#pending.length < prefix.end + prefix.length) break;
      const message = this.#pending.subarray(prefix.end, prefix.end + prefix.length);
      this.#pending = this.#pending.subarray(prefix.end + prefix.length);
      this.#empty = prefix.length === 0 ? this.#empty + 1 : 0;
      if (this.#empty > MAX_EMPTY) throw new FrameError(`more than ${MAX_EMPTY} empty messages in a row`);
      yield message;
    }
    // A copy of the remainder lets go of the chunk it was part of.
    this.#pending = this.#pending.slice();
  }
}

/** The length at the start of `bytes` and where it ends; `null` when more bytes are needed. */
export function readLength(bytes: Uint8Array, limit: number): { length: number; end: number } | null {
  let length = 0;
  for (let index = 0; index < MAX_LENGTH_BYTES; index++) {
    const byte = bytes[index];
    if (byte === undefined) return null;
    length |= (byte & 0x7f) << (index * 7);
    if (byte >= 0x80) continue;
    if (length > limit) throw new FrameError(`a message of ${length} bytes`);
    return { length, end: index + 1 };
  }
  throw new FrameError(`a length of more than ${MAX_LENGTH_BYTES} bytes`);
}

function join(left: Uint8Array, right: Uint8Array): Uint8Array {
  const joined = new Uint8Array(left.length + right.length);
  joined.set(left);
  joined.set(right, left.length);
  return joined;
}
