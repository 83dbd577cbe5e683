// Datagrams: one payload up, chunks of many members' payloads down. Integers are big-endian.

/** What is delivered how. `Update`: the latest counts. `Event`: every one, in no promised order. `Voice`: at once or never. */
export enum Kind {
  Update = 0,
  Event = 1,
  Voice = 2,
}

/** What one client sends. */
export interface DatagramUp {
  kind: Kind;
  /** Names the room, as `island_changed` gave it. */
  tag: number;
  /** The sender's counter, modulo 65,536. */
  sequence: number;
  payload: Uint8Array;
}

/** What one member sent, inside a chunk. */
export interface Entry {
  alias: number;
  kind: Kind;
  sequence: number;
  payload: Uint8Array;
}

/** What the edge sends: a room's news. */
export interface DatagramDown {
  tag: number;
  entries: Entry[];
  /** Whether it could be read to its end; the entries before a fault are good. */
  whole: boolean;
}

/** Bytes before the payload of a datagram to the edge. */
export const UP_HEADER_BYTES = 7;
const TAG_BYTES = 4;
const MAX_VARINT_BYTES = 5;

/** The bytes of a datagram to the edge. */
export function encodeUp(datagram: DatagramUp): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(UP_HEADER_BYTES + datagram.payload.length);
  const view = new DataView(bytes.buffer);
  view.setUint8(0, datagram.kind);
  view.setUint32(1, datagram.tag);
  view.setUint16(5, datagram.sequence);
  bytes.set(datagram.payload, UP_HEADER_BYTES);
  return bytes;
}

/** Reads a datagram to the edge; `null` when it is too short or of an unknown kind. */
export function decodeUp(bytes: Uint8Array): DatagramUp | null {
  if (bytes.length < UP_HEADER_BYTES) return null;
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const kind = view.getUint8(0);
  if (!isKind(kind)) return null;
  return { kind, tag: view.getUint32(1), sequence: view.getUint16(5), payload: bytes.subarray(UP_HEADER_BYTES) };
}

/** The bytes of a chunk from the edge. */
export function encodeDown(datagram: Omit<DatagramDown, "whole">): Uint8Array<ArrayBuffer> {
  const out: number[] = [];
  for (let shift = 24; shift >= 0; shift -= 8) out.push((datagram.tag >>> shift) & 0xff);
  for (const entry of datagram.entries) {
    pushVarint(out, entry.alias);
    out.push(entry.kind, (entry.sequence >>> 8) & 0xff, entry.sequence & 0xff);
    pushVarint(out, entry.payload.length);
    for (const byte of entry.payload) out.push(byte);
  }
  return Uint8Array.from(out);
}

/** Reads a chunk from the edge; `null` when it has not even a tag. Payloads are views into `bytes`. */
export function decodeDown(bytes: Uint8Array): DatagramDown | null {
  if (bytes.length < TAG_BYTES) return null;
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const tag = view.getUint32(0);
  const entries: Entry[] = [];
  let at = TAG_BYTES;
  while (at < bytes.length) {
    const found = readEntry(bytes, view, at);
    if (found === null) return { tag, entries, whole: false };
    entries.push(found.entry);
    at = found.end;
  }
  return { tag, entries, whole: true };
}

function readEntry(bytes: Uint8Array, view: DataView, start: number): { entry: Entry; end: number } | null {
  const alias = readVarint(bytes, start);
  if (alias === null || bytes.length - alias.end < 3) return null;
  const kind = view.getUint8(alias.end);
  const sequence = view.getUint16(alias.end + 1);
  if (!isKind(kind)) return null;
  const length = readVarint(bytes, alias.end + 3);
  if (length === null || length.value > bytes.length - length.end) return null;
  const end = length.end + length.value;
  return { entry: { alias: alias.value, kind, sequence, payload: bytes.subarray(length.end, end) }, end };
}

/** Serial arithmetic: whether sequence `b` came after `a`, both modulo 65,536. */
export function isNewer(b: number, a: number): boolean {
  const ahead = (b - a) & 0xffff;
  return ahead >= 1 && ahead <= 32_767;
}

function isKind(value: number): value is Kind {
  return value <= Kind.Voice;
}

function pushVarint(out: number[], value: number): void {
  let rest = value >>> 0;
  while (rest >= 0x80) {
    out.push((rest & 0x7f) | 0x80);
    rest >>>= 7;
  }
  out.push(rest);
}

/** A varint of at most 32 bits; `null` when it is truncated or longer. */
function readVarint(bytes: Uint8Array, start: number): { value: number; end: number } | null {
  let value = 0;
  for (let index = 0; index < MAX_VARINT_BYTES; index++) {
    const byte = bytes[start + index];
    if (byte === undefined) return null;
    if (index === MAX_VARINT_BYTES - 1 && byte > 0x0f) return null;
    value |= (byte & 0x7f) << (index * 7);
    if (byte < 0x80) return { value: value >>> 0, end: start + index + 1 };
  }
  return null;
}
