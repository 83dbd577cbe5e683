// The control stream: each message has its length in front of it, as a varint of at most 3 bytes.

/** Largest message on the control stream, in bytes, without its length. */
export const MAX_MESSAGE_BYTES = 65_536;

/** A length that no message may have; the stream cannot be read on. */
export class FrameError extends Error {
  override readonly name = "FrameError";
}

const MAX_LENGTH_BYTES = 3;

/** Puts the length in front of a message. Throws `FrameError` when the message is above the limit. */
export function encodeFrame(message: Uint8Array): Uint8Array<ArrayBuffer> {
  if (message.length > MAX_MESSAGE_BYTES) throw new FrameError(`a message of ${message.length} bytes`);
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
  #pending: Uint8Array = new Uint8Array(0);

  /** Yields the messages that `chunk` completes. Throws `FrameError` when the stream cannot be read on. */
  *push(chunk: Uint8Array): Generator<Uint8Array> {
    this.#pending = this.#pending.length === 0 ? chunk : join(this.#pending, chunk);
    for (;;) {
      const prefix = readLength(this.#pending);
      if (prefix === null || this.#pending.length < prefix.end + prefix.length) break;
      const message = this.#pending.subarray(prefix.end, prefix.end + prefix.length);
      this.#pending = this.#pending.subarray(prefix.end + prefix.length);
      yield message;
    }
    // A copy of the remainder lets go of the chunk it was part of.
    this.#pending = this.#pending.slice();
  }
}

/** The length at the start of `bytes` and where it ends; `null` when more bytes are needed. */
function readLength(bytes: Uint8Array): { length: number; end: number } | null {
  let length = 0;
  for (let index = 0; index < MAX_LENGTH_BYTES; index++) {
    const byte = bytes[index];
    if (byte === undefined) return null;
    length |= (byte & 0x7f) << (index * 7);
    if (byte >= 0x80) continue;
    if (length > MAX_MESSAGE_BYTES) throw new FrameError(`a message of ${length} bytes`);
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
