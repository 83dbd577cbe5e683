// Datagrams: one payload up, chunks of many members' payloads down. Integers are big-endian.

/** What is delivered how. `Update`: the latest counts. `Event`: every one, in no promised order. */
export enum Kind {
  Update = 0,
  Event = 1,
  /** Reserved by this version of the protocol. */
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
}

const UP_HEADER_BYTES = 7;
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
export function encodeDown(datagram: DatagramDown): Uint8Array<ArrayBuffer> {
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

/** Reads a chunk from the edge; `null` when any part of it cannot be read. Payloads are views into `bytes`. */
export function decodeDown(bytes: Uint8Array): DatagramDown | null {
  if (bytes.length < TAG_BYTES) return null;
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const entries: Entry[] = [];
  let at = TAG_BYTES;
  while (at < bytes.length) {
    const alias = readVarint(bytes, at);
    if (alias === null) return null;
    at = alias.end;
    if (bytes.length - at < 3) return null;
    const kind = view.getUint8(at);
    const sequence = view.getUint16(at + 1);
    if (!isKind(kind)) return null;
    const length = readVarint(bytes, at + 3);
    if (length === null) return null;
    at = length.end;
    if (length.value > bytes.length - at) return null;
    entries.push({ alias: alias.value, kind, sequence, payload: bytes.subarray(at, at + length.value) });
    at += length.value;
  }
  return { tag: view.getUint32(0), entries };
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
