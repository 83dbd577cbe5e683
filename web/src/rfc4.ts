// Decentraland's comms packets (rfc4.Packet): the two that the page sends, and a look at what kind the others are.
import { Reader, WireType, Writer } from "./protobuf.js";

/** Where an avatar stands and looks. Metres; the rotation is a quaternion. */
export interface AvatarPosition {
  /** The sender's own counter. */
  index: number;
  positionX: number;
  positionY: number;
  positionZ: number;
  rotationX: number;
  rotationY: number;
  rotationZ: number;
  rotationW: number;
}

/** A line of chat. */
export interface Chat {
  message: string;
  /** As the sender's client has it; by custom milliseconds since 1970. */
  timestamp: number;
}

/** A packet. `other` is a case that this module does not read, `none` a packet without any. */
export type Packet =
  | { case: "position"; position: AvatarPosition }
  | { case: "chat"; chat: Chat }
  | { case: "other"; field: number }
  | { case: "none" };

const POSITION = 1;
const CHAT = 5;
const MOVEMENT = 8;
const MOVEMENT_COMPRESSED = 12;
/** Not a case of the packet but a field beside it. */
const PROTOCOL_VERSION = 11;
const LAST_CASE = 15;

/** The bytes of a position packet. Send them as Update. */
export function encodePosition(position: AvatarPosition): Uint8Array<ArrayBuffer> {
  const out = new Writer()
    .uint32(1, position.index)
    .float(3, position.positionX)
    .float(4, position.positionY)
    .float(5, position.positionZ)
    .float(6, position.rotationX)
    .float(7, position.rotationY)
    .float(8, position.rotationZ)
    .float(9, position.rotationW);
  return new Writer().message(POSITION, out.finish()).finish();
}

/** The bytes of a chat packet. Send them as Event. */
export function encodeChat(chat: Chat): Uint8Array<ArrayBuffer> {
  const out = new Writer().text(1, chat.message).double(2, chat.timestamp);
  return new Writer().message(CHAT, out.finish()).finish();
}

/**
 * Reads a packet. Throws `DecodeError`. Of several cases the last one counts; a field of another wire type than its own
 * is passed over, as the original clients do.
 */
export function decodePacket(payload: Uint8Array): Packet {
  const reader = new Reader(payload);
  let packet: Packet = { case: "none" };
  for (let field = reader.next(); field !== 0; field = reader.next()) {
    if (!isCase(field, reader.wireType)) reader.skip();
    else if (field === POSITION) packet = { case: "position", position: decodePosition(reader.bytes()) };
    else if (field === CHAT) packet = { case: "chat", chat: decodeChat(reader.bytes()) };
    else {
      packet = { case: "other", field };
      reader.skip();
    }
  }
  return packet;
}

/** Which kind of state a payload replaces: the number of its case, or `null` when it is none of those sent as Update. */
export function updateKind(payload: Uint8Array): number | null {
  let kind: number | null = null;
  try {
    const reader = new Reader(payload);
    for (let field = reader.next(); field !== 0; field = reader.next()) {
      if (isCase(field, reader.wireType)) kind = field;
      reader.skip();
    }
  } catch {
    return null;
  }
  return kind === POSITION || kind === MOVEMENT || kind === MOVEMENT_COMPRESSED ? kind : null;
}

function isCase(field: number, wireType: number): boolean {
  return wireType === WireType.Bytes && field <= LAST_CASE && field !== PROTOCOL_VERSION;
}

function decodePosition(bytes: Uint8Array): AvatarPosition {
  const position: AvatarPosition = {
    index: 0,
    positionX: 0,
    positionY: 0,
    positionZ: 0,
    rotationX: 0,
    rotationY: 0,
    rotationZ: 0,
    rotationW: 0,
  };
  const reader = new Reader(bytes);
  for (let field = reader.next(); field !== 0; field = reader.next()) {
    const name = POSITION_FIELDS[field];
    if (name !== undefined && reader.wireType === WireType.Fixed32) position[name] = reader.float();
    else if (field === 1 && reader.wireType === WireType.Varint) position.index = reader.uint32();
    else reader.skip();
  }
  return position;
}

const POSITION_FIELDS: Readonly<Record<number, keyof AvatarPosition>> = {
  3: "positionX",
  4: "positionY",
  5: "positionZ",
  6: "rotationX",
  7: "rotationY",
  8: "rotationZ",
  9: "rotationW",
};

function decodeChat(bytes: Uint8Array): Chat {
  const chat: Chat = { message: "", timestamp: 0 };
  const reader = new Reader(bytes);
  for (let field = reader.next(); field !== 0; field = reader.next()) {
    if (field === 1 && reader.wireType === WireType.Bytes) chat.message = reader.text();
    else if (field === 2 && reader.wireType === WireType.Fixed64) chat.timestamp = reader.double();
    else reader.skip();
  }
  return chat;
}
