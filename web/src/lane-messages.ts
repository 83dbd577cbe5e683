// The messages of the two numbered lanes, as atoll.proto defines them: read and written in both directions.
import { Reader, Writer } from "./protobuf.js";

/** One member of a room. */
export interface Member {
  alias: number;
  /** Address, lower-case, or `server:<name>`. */
  name: string;
}

/** How far both lanes have come in one direction. Numbers begin with 1. */
export interface Received {
  /** All ordered messages up to this number have arrived or were announced as a gap. */
  ordered: number;
  /** The same for large messages. */
  large: number;
  /** Large messages beyond that have arrived, too. At most 16. */
  largeBeyond: number[];
}

/** Numbers that were dropped before they were delivered, both included. */
export interface Gap {
  first: number;
  last: number;
}

/** What both lanes say of a message. */
interface Numbered {
  /** The room it is for, or comes from. */
  tag: number;
  number: number;
  /** Downstream only: who sent it. The alias may belong to a member who has left. */
  sender: Member | null;
}

/** A message of the ordered lane. */
export interface Ordered extends Numbered {
  payload: Uint8Array;
}

/** What stands before the payload of a large message. */
export interface Large extends Numbered {
  /** Bytes of payload that follow. */
  length: number;
}

/** A frame of the ordered stream. `unknown` is one that a later version of the protocol added. */
export type OrderedMessage = ({ case: "ordered" } & Ordered) | ({ case: "gap" } & Gap) | { case: "unknown" };

/** What a large stream begins with. */
export type LargeHeader = ({ case: "large" } & Large) | ({ case: "gap" } & Gap) | { case: "unknown" };

/** The bytes of a `Received`. */
export function encodeReceived(received: Received): Uint8Array<ArrayBuffer> {
  const out = new Writer().uint64(1, received.ordered).uint64(2, received.large);
  return out.packedUint64(3, received.largeBeyond).finish();
}

/** Reads a `Received`. Throws `DecodeError`. */
export function decodeReceived(bytes: Uint8Array): Received {
  const received: Received = { ordered: 0, large: 0, largeBeyond: [] };
  eachField(bytes, (field, reader) => {
    if (field === 1) received.ordered = reader.uint64();
    else if (field === 2) received.large = reader.uint64();
    else if (field === 3) received.largeBeyond.push(...reader.packedUint64());
    else return false;
    return true;
  });
  return received;
}

/** The bytes of a frame of the ordered stream, without its length. */
export function encodeOrdered(message: Exclude<OrderedMessage, { case: "unknown" }>): Uint8Array<ArrayBuffer> {
  if (message.case === "gap") return new Writer().message(2, encodeGap(message)).finish();
  const out = encodeNumbered(message).bytes(4, message.payload);
  return new Writer().message(1, out.finish()).finish();
}

/** Reads a frame of the ordered stream; the payload is a view into it. Throws `DecodeError`. */
export function decodeOrdered(bytes: Uint8Array): OrderedMessage {
  let message: OrderedMessage = { case: "unknown" };
  eachField(bytes, (field, reader) => {
    if (field === 1) {
      const ordered: Ordered = { tag: 0, number: 0, sender: null, payload: new Uint8Array(0) };
      eachField(reader.bytes(), (inner, fields) => {
        if (inner !== 4) return readNumbered(inner, fields, ordered);
        ordered.payload = fields.bytes();
        return true;
      });
      message = { case: "ordered", ...ordered };
    } else if (field === 2) message = { case: "gap", ...decodeGap(reader.bytes()) };
    else return false;
    return true;
  });
  return message;
}

/** The bytes of a large stream's header, without its length. */
export function encodeLarge(header: Exclude<LargeHeader, { case: "unknown" }>): Uint8Array<ArrayBuffer> {
  if (header.case === "gap") return new Writer().message(2, encodeGap(header)).finish();
  const out = encodeNumbered(header).uint32(4, header.length);
  return new Writer().message(1, out.finish()).finish();
}

/** Reads a large stream's header. Throws `DecodeError`. */
export function decodeLarge(bytes: Uint8Array): LargeHeader {
  let header: LargeHeader = { case: "unknown" };
  eachField(bytes, (field, reader) => {
    if (field === 1) {
      const large: Large = { tag: 0, number: 0, sender: null, length: 0 };
      eachField(reader.bytes(), (inner, fields) => {
        if (inner !== 4) return readNumbered(inner, fields, large);
        large.length = fields.uint32();
        return true;
      });
      header = { case: "large", ...large };
    } else if (field === 2) header = { case: "gap", ...decodeGap(reader.bytes()) };
    else return false;
    return true;
  });
  return header;
}

/** Calls `visit` for each field; `visit` answers whether it read the value, and what it did not read is passed over. */
export function eachField(bytes: Uint8Array, visit: (field: number, reader: Reader) => boolean): void {
  const reader = new Reader(bytes);
  for (let field = reader.next(); field !== 0; field = reader.next()) {
    if (!visit(field, reader)) reader.skip();
  }
}

/** Reads a `Member`. Throws `DecodeError`. */
export function decodeMember(bytes: Uint8Array): Member {
  const member: Member = { alias: 0, name: "" };
  eachField(bytes, (field, reader) => {
    if (field === 1) member.alias = reader.uint32();
    else if (field === 2) member.name = reader.text();
    else return false;
    return true;
  });
  return member;
}

function encodeNumbered(message: Numbered): Writer {
  const out = new Writer().fixed32(1, message.tag).uint64(2, message.number);
  if (message.sender === null) return out;
  return out.message(3, new Writer().uint32(1, message.sender.alias).text(2, message.sender.name).finish());
}

function readNumbered(field: number, reader: Reader, into: Numbered): boolean {
  if (field === 1) into.tag = reader.fixed32();
  else if (field === 2) into.number = reader.uint64();
  else if (field === 3) into.sender = decodeMember(reader.bytes());
  else return false;
  return true;
}

function encodeGap(gap: Gap): Uint8Array {
  return new Writer().uint64(1, gap.first).uint64(2, gap.last).finish();
}

function decodeGap(bytes: Uint8Array): Gap {
  const gap: Gap = { first: 0, last: 0 };
  eachField(bytes, (field, reader) => {
    if (field === 1) gap.first = reader.uint64();
    else if (field === 2) gap.last = reader.uint64();
    else return false;
    return true;
  });
  return gap;
}
