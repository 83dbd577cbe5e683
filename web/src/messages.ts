// The control messages of atoll/1, as atoll.proto and archipelago.proto define them: what a client
// sends is only written here, what the edge sends is only read.
import { decodeMember, decodeReceived, eachField, encodeReceived, type Member, type Received } from "./lane-messages.js";
import { Reader, Writer } from "./protobuf.js";

export type { Member, Received } from "./lane-messages.js";

/** A place, in metres. */
export interface Position {
  x: number;
  y: number;
  z: number;
}

/** A client's message. */
export type ClientMessage =
  | { case: "challengeRequest"; address: string }
  | ({ case: "login"; schemes: string[] } & Proof)
  | { case: "heartbeat"; position: Position; desiredRoom?: string }
  | { case: "received"; received: Received }
  | { case: "publish"; topic: string; payload: Uint8Array }
  | { case: "subscribe"; subscription: number; scope: Scope; topic: string }
  | { case: "unsubscribe"; subscription: number }
  | { case: "joinRoom"; connectionString: string };

/** Whose messages a subscription hears. */
export enum Scope {
  Peer = 1,
  System = 2,
}

/** Who logs in, or which session should go on. `signedFetch` beside `resume` is looked at when that is refused. */
export interface Proof {
  /** The signed chain in answer to a challenge. */
  authChainJson?: string;
  signedFetch?: SignedFetch;
  resume?: Resume;
}

/** A signed request (ADR-44): its chain ends in the lower-case form of `connect:/atoll:<timestamp>:<metadata>`. */
export interface SignedFetch {
  authChainJson: string;
  /** Milliseconds since 1970. */
  timestamp: number;
  /** A JSON object with the edge's name as `server`. */
  metadata: string;
}

/** Which session should go on, and what the client has of it. */
export interface Resume {
  token: string;
  received: Received;
}

/** What the edge accepts from a client. */
export interface Limits {
  /** Largest control message, in bytes. */
  maxMessageBytes: number;
  /** Largest payload of a datagram, in bytes. */
  maxPayloadBytes: number;
  /** How often a heartbeat is expected, in milliseconds. */
  heartbeatIntervalMs: number;
  /** Largest payload of an ordered message, in bytes. */
  maxOrderedBytes: number;
  /** Largest payload of a large message, in bytes. */
  maxLargeBytes: number;
}

/** The login succeeded. */
export interface Welcome {
  peerId: string;
  limits: Limits;
  /** For `Resume.token`; empty when the session cannot be resumed. */
  resumeToken: string;
  /** How long after a loss the session can be resumed, in milliseconds. */
  resumeWindowMs: number;
  /** Only when an earlier session goes on: what the edge has of the client's messages. */
  resumed: Received | null;
}

/** An island as archipelago announced it. */
export interface IslandAnnouncement {
  islandId: string;
  connStr: string;
  fromIslandId: string | null;
  /** Where everybody stood at the last flush. */
  peers: Map<string, Position>;
}

/** A message of the edge. `unknown` is one that a later version of the protocol added. */
export type ServerMessage =
  | { case: "challengeResponse"; challengeToSign: string; alreadyConnected: boolean }
  | ({ case: "welcome" } & Welcome)
  | {
      case: "islandChanged";
      island: IslandAnnouncement;
      tag: number;
      alias: number;
      members: Member[];
      foreignTransport: string | null;
      /** The name of a room that the client joined; the island is empty then. */
      room: string | null;
    }
  | { case: "membersChanged"; tag: number; joined: Member[]; left: number[] }
  | { case: "kicked" }
  | { case: "error"; code: number; reason: string; count: number }
  | { case: "draining"; closeInMs: number }
  | { case: "received"; received: Received }
  | { case: "subscribed"; subscription: number; error: number; reason: string }
  | { case: "topicMessage"; subscription: number; number: number; topic: string; sender: string; payload: Uint8Array }
  | { case: "unknown" };

/** The bytes of a message to the edge, without its length. */
export function encodeClientMessage(message: ClientMessage): Uint8Array<ArrayBuffer> {
  const out = new Writer();
  switch (message.case) {
    case "challengeRequest":
      return out.message(1, new Writer().text(1, message.address).finish()).finish();
    case "login":
      return out.message(2, encodeLogin(message, message.schemes)).finish();
    case "heartbeat":
      return out.message(3, encodeHeartbeat(message.position, message.desiredRoom)).finish();
    case "received":
      return out.message(4, encodeReceived(message.received)).finish();
    case "publish":
      return out.message(5, new Writer().text(1, message.topic).bytes(2, message.payload).finish()).finish();
    case "subscribe": {
      const { subscription, scope, topic } = message;
      return out.message(6, new Writer().uint32(1, subscription).uint32(2, scope).text(3, topic).finish()).finish();
    }
    case "unsubscribe":
      return out.message(7, new Writer().uint32(1, message.subscription).finish()).finish();
    case "joinRoom":
      return out.message(8, new Writer().text(1, message.connectionString).finish()).finish();
  }
}

/** Reads a message of the edge. Throws `DecodeError`. Fields that are not known are passed over. */
export function decodeServerMessage(bytes: Uint8Array): ServerMessage {
  const reader = new Reader(bytes);
  let message: ServerMessage = { case: "unknown" };
  for (let field = reader.next(); field !== 0; field = reader.next()) {
    const decode = SERVER_CASES[field];
    if (decode === undefined) reader.skip();
    else message = decode(reader.bytes());
  }
  return message;
}

const SERVER_CASES: Readonly<Record<number, (bytes: Uint8Array) => ServerMessage>> = {
  1: decodeChallengeResponse,
  2: decodeWelcome,
  3: decodeIslandChanged,
  4: decodeMembersChanged,
  6: decodeKicked,
  7: decodeError,
  8: decodeDraining,
  9: (bytes) => ({ case: "received", received: decodeReceived(bytes) }),
  10: decodeSubscribed,
  11: decodeTopicMessage,
};

function encodeLogin({ authChainJson, signedFetch, resume }: Proof, schemes: string[]): Uint8Array {
  const capabilities = new Writer();
  for (const scheme of schemes) capabilities.text(1, scheme);
  const out = new Writer();
  if (authChainJson !== undefined) out.message(1, new Writer().text(1, authChainJson).finish());
  if (signedFetch !== undefined) {
    const fetch = new Writer().text(1, signedFetch.authChainJson).uint64(2, signedFetch.timestamp);
    out.message(2, fetch.text(3, signedFetch.metadata).finish());
  }
  if (resume !== undefined) {
    out.message(3, new Writer().text(1, resume.token).message(2, encodeReceived(resume.received)).finish());
  }
  if (schemes.length > 0) out.message(8, capabilities.finish());
  return out.finish();
}

function encodeHeartbeat(position: Position, desiredRoom: string | undefined): Uint8Array {
  const place = new Writer().float(1, position.x).float(2, position.y).float(3, position.z);
  const out = new Writer().message(1, place.finish());
  // An optional field: an empty text is not the same as none.
  if (desiredRoom !== undefined) out.message(2, new TextEncoder().encode(desiredRoom));
  return out.finish();
}

function decodeChallengeResponse(bytes: Uint8Array): ServerMessage {
  let challengeToSign = "";
  let alreadyConnected = false;
  eachField(bytes, (field, reader) => {
    if (field === 1) challengeToSign = reader.text();
    else if (field === 2) alreadyConnected = reader.uint32() !== 0;
    else return false;
    return true;
  });
  return { case: "challengeResponse", challengeToSign, alreadyConnected };
}

function decodeWelcome(bytes: Uint8Array): ServerMessage {
  const limits: Limits = {
    maxMessageBytes: 0,
    maxPayloadBytes: 0,
    heartbeatIntervalMs: 0,
    maxOrderedBytes: 0,
    maxLargeBytes: 0,
  };
  const welcome: Welcome = { peerId: "", limits, resumeToken: "", resumeWindowMs: 0, resumed: null };
  eachField(bytes, (field, reader) => {
    if (field === 1) {
      eachField(reader.bytes(), (inner, peer) => {
        if (inner !== 1) return false;
        welcome.peerId = peer.text();
        return true;
      });
    } else if (field === 2) decodeLimits(reader.bytes(), limits);
    else if (field === 3) welcome.resumeToken = reader.text();
    else if (field === 4) welcome.resumeWindowMs = reader.uint32();
    else if (field === 5) welcome.resumed = decodeReceived(reader.bytes());
    else return false;
    return true;
  });
  return { case: "welcome", ...welcome };
}

function decodeLimits(bytes: Uint8Array, limits: Limits): void {
  eachField(bytes, (field, reader) => {
    if (field === 1) limits.maxMessageBytes = reader.uint32();
    else if (field === 2) limits.maxPayloadBytes = reader.uint32();
    else if (field === 3) limits.heartbeatIntervalMs = reader.uint32();
    else if (field === 4) limits.maxOrderedBytes = reader.uint32();
    else if (field === 5) limits.maxLargeBytes = reader.uint32();
    else return false;
    return true;
  });
}

function decodeIslandChanged(bytes: Uint8Array): ServerMessage {
  const island: IslandAnnouncement = { islandId: "", connStr: "", fromIslandId: null, peers: new Map() };
  const members: Member[] = [];
  let tag = 0;
  let alias = 0;
  let foreignTransport: string | null = null;
  let room: string | null = null;
  eachField(bytes, (field, reader) => {
    if (field === 1) decodeAnnouncement(reader.bytes(), island);
    else if (field === 2) tag = reader.fixed32();
    else if (field === 3) alias = reader.uint32();
    else if (field === 4) members.push(decodeMember(reader.bytes()));
    else if (field === 5) foreignTransport = decodeForeignTransport(reader.bytes());
    else if (field === 6) room = reader.text() || null;
    else return false;
    return true;
  });
  return { case: "islandChanged", island, tag, alias, members, foreignTransport, room };
}

function decodeForeignTransport(bytes: Uint8Array): string {
  let connectionString = "";
  eachField(bytes, (field, reader) => {
    if (field !== 1) return false;
    connectionString = reader.text();
    return true;
  });
  return connectionString;
}

function decodeAnnouncement(bytes: Uint8Array, island: IslandAnnouncement): void {
  eachField(bytes, (field, reader) => {
    if (field === 1) island.islandId = reader.text();
    else if (field === 2) island.connStr = reader.text();
    else if (field === 3) island.fromIslandId = reader.text();
    else if (field === 4) decodePeer(reader.bytes(), island.peers);
    else return false;
    return true;
  });
}

function decodePeer(bytes: Uint8Array, peers: Map<string, Position>): void {
  let address = "";
  let position: Position = { x: 0, y: 0, z: 0 };
  eachField(bytes, (field, reader) => {
    if (field === 1) address = reader.text();
    else if (field === 2) position = decodePosition(reader.bytes());
    else return false;
    return true;
  });
  peers.set(address, position);
}

function decodePosition(bytes: Uint8Array): Position {
  const position = { x: 0, y: 0, z: 0 };
  eachField(bytes, (field, reader) => {
    if (field === 1) position.x = reader.coordinate();
    else if (field === 2) position.y = reader.coordinate();
    else if (field === 3) position.z = reader.coordinate();
    else return false;
    return true;
  });
  return position;
}

function decodeMembersChanged(bytes: Uint8Array): ServerMessage {
  const joined: Member[] = [];
  const left: number[] = [];
  let tag = 0;
  eachField(bytes, (field, reader) => {
    if (field === 1) tag = reader.fixed32();
    else if (field === 2) joined.push(decodeMember(reader.bytes()));
    else if (field === 3) left.push(...reader.packedUint32());
    else return false;
    return true;
  });
  return { case: "membersChanged", tag, joined, left };
}

function decodeKicked(bytes: Uint8Array): ServerMessage {
  // The one reason there is, a new session, is also the default value.
  eachField(bytes, () => false);
  return { case: "kicked" };
}

function decodeError(bytes: Uint8Array): ServerMessage {
  let code = 0;
  let reason = "";
  let count = 0;
  eachField(bytes, (field, reader) => {
    if (field === 1) code = reader.uint32();
    else if (field === 2) reason = reader.text();
    else if (field === 3) count = reader.uint32();
    else return false;
    return true;
  });
  return { case: "error", code, reason, count };
}

function decodeDraining(bytes: Uint8Array): ServerMessage {
  let closeInMs = 0;
  eachField(bytes, (field, reader) => {
    if (field !== 1) return false;
    closeInMs = reader.uint32();
    return true;
  });
  return { case: "draining", closeInMs };
}

function decodeSubscribed(bytes: Uint8Array): ServerMessage {
  let subscription = 0;
  let error = 0;
  let reason = "";
  eachField(bytes, (field, reader) => {
    if (field === 1) subscription = reader.uint32();
    else if (field === 2) error = reader.uint32();
    else if (field === 3) reason = reader.text();
    else return false;
    return true;
  });
  return { case: "subscribed", subscription, error, reason };
}

function decodeTopicMessage(bytes: Uint8Array): ServerMessage {
  const message = { subscription: 0, number: 0, topic: "", sender: "", payload: new Uint8Array(0) };
  eachField(bytes, (field, reader) => {
    if (field === 1) message.subscription = reader.uint32();
    else if (field === 2) message.number = reader.uint64();
    else if (field === 3) message.topic = reader.text();
    else if (field === 4) message.sender = reader.text();
    else if (field === 5) message.payload = reader.bytes().slice();
    else return false;
    return true;
  });
  return { case: "topicMessage", ...message };
}
