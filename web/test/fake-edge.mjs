// An edge in memory, with the faces of a browser's WebTransport and WebSocket: for tests of the client without a network.
import { encodeFrame, FrameDecoder, MAX_ORDERED_FRAME_BYTES } from "../lib/framing.js";
import { decodeOrdered, encodeLarge, encodeOrdered } from "../lib/lane-messages.js";
import { LargeDecoder } from "../lib/large-decoder.js";
import { Writer } from "../lib/protobuf.js";

/**
 * Makes constructors to hand to `connect`, and the edge behind them, whose functions speak to the newest connection.
 * `shape`: which datagram API the "browser" has. `isReachable(way)`: whether a connection of it ever gets ready.
 * `stopsLarge`: whether a large WebTransport stream is stopped as soon as its message is there, before it is ended.
 */
export function fakeEdge({
  shape = "writable",
  maxDatagramSize = 1211,
  onMessage = answerLogin,
  isReachable = () => true,
  stopsLarge = false,
} = {}) {
  const edge = {
    /** Every connection that was asked for, ready or not. */
    connections: [],
    get newest() {
      return this.connections.findLast((connection) => connection.isReady);
    },
    /** What the client gave to the newest WebTransport constructor. */
    options: null,
    url: null,
    /** From the client, over all connections: datagrams, control messages, frames of the ordered stream, large items. */
    datagrams: [],
    messages: [],
    ordered: [],
    large: [],
    /** How the client closed, if it did. */
    closedByClient: null,
    transport: null,
    sendRaw: (bytes) => edge.newest.sendControl(bytes),
    send: (message) => edge.newest.sendControl(encodeFrame(message)),
    sendDatagram: (bytes) => edge.newest.sendDatagram(bytes),
    sendOrdered: (message) => {
      edge.newest.sendOrdered(encodeFrame(encodeOrdered(message), MAX_ORDERED_FRAME_BYTES));
    },
    sendLarge: (header, payload = new Uint8Array(0)) => edge.newest.sendLarge(encodeFrame(encodeLarge(header)), payload),
    close: (code, reason) => edge.newest.end(code, reason),
    lose: () => edge.newest.end(null),
  };

  /** What both faces have in common: the reading of what the client writes. */
  function upstream(connection) {
    const decoder = new FrameDecoder();
    const ordered = new FrameDecoder(MAX_ORDERED_FRAME_BYTES);
    return {
      control: (bytes) => {
        for (const message of decoder.push(bytes)) {
          edge.messages.push(message);
          onMessage(edge, message, connection);
        }
      },
      ordered: (bytes) => edge.ordered.push(...[...ordered.push(bytes)].map((frame) => decodeOrdered(frame.slice()))),
    };
  }

  class FakeWebTransport {
    way = "webtransport";
    isReady = false;
    #control;
    #incoming;
    #datagrams;
    #ordered = null;
    #streams = [];

    constructor(url, options) {
      edge.url = url;
      edge.options = options;
      edge.transport = this;
      edge.connections.push(this);
      this.upstream = upstream(this);
      this.ready = isReachable(this.way) ? Promise.resolve().then(() => void (this.isReady = true)) : new Promise(() => undefined);
      this.closed = new Promise((resolve, reject) => {
        this.end = (code, reason = "") => {
          for (const controller of [this.#control, this.#incoming, this.#datagrams, ...this.#streams]) {
            // A stream that has ended already stays so.
            try {
              controller?.error(new Error("session closed"));
            } catch {}
          }
          if (code === null) reject(new Error("Connection lost."));
          else resolve({ closeCode: code, reason });
        };
      });
      this.closed.catch(() => undefined);
      const sink = new WritableStream({ write: (bytes) => void edge.datagrams.push(bytes) });
      this.datagrams = {
        incomingHighWaterMark: 1,
        incomingMaxAge: null,
        maxDatagramSize,
        readable: new ReadableStream({ start: (controller) => void (this.#datagrams = controller) }),
        ...(shape === "writable" && { writable: sink }),
        ...(shape === "createWritable" && { createWritable: () => sink }),
      };
      this.incomingUnidirectionalStreams = new ReadableStream({ start: (controller) => void (this.#incoming = controller) });
    }

    async createBidirectionalStream() {
      const readable = new ReadableStream({ start: (controller) => void (this.#control = controller) });
      return { readable, writable: this.#writable((bytes) => this.upstream.control(bytes)) };
    }

    async createUnidirectionalStream() {
      const large = new LargeDecoder(1_048_576);
      let type;
      return this.#writable((bytes, controller) => {
        const rest = type === undefined ? bytes.subarray(1) : bytes;
        type ??= bytes[0];
        if (type === 1) return this.upstream.ordered(rest);
        const whole = [...large.push(rest)];
        edge.large.push(...whole);
        if (stopsLarge && whole.length > 0) controller.error(new Error("Received STOP_SENDING."));
      });
    }

    close(info) {
      edge.closedByClient ??= info;
    }

    sendControl = (bytes) => this.#control.enqueue(bytes);
    sendDatagram = (bytes) => this.#datagrams.enqueue(bytes);

    sendOrdered(bytes) {
      this.#ordered ??= this.openStream(1);
      this.#ordered.enqueue(bytes);
    }

    sendLarge(header, payload) {
      const stream = this.openStream(2);
      for (const part of [header.subarray(0, 1), header.subarray(1), payload.subarray(0, 5), payload.subarray(5)]) stream.enqueue(part);
      stream.close();
    }

    openStream(type) {
      let stream;
      this.#incoming.enqueue(new ReadableStream({ start: (controller) => void (stream = controller) }));
      this.#streams.push(stream);
      stream.enqueue(Uint8Array.of(type));
      return stream;
    }

    #writable(write) {
      return new WritableStream({
        start: (controller) => void this.#streams.push(controller),
        write: (bytes, controller) => write(bytes.slice(), controller),
      });
    }
  }

  class FakeWebSocket extends EventTarget {
    way = "websocket";
    isReady = false;
    CONNECTING = 0;
    readyState = 0;
    bufferedAmount = 0;

    constructor(url, protocols) {
      super();
      this.url = url;
      this.protocols = protocols;
      edge.connections.push(this);
      this.upstream = upstream(this);
      this.large = new LargeDecoder(1_048_576);
      if (isReachable(this.way)) setImmediate(() => this.#open());
    }

    #open() {
      this.isReady = true;
      this.readyState = 1;
      this.dispatchEvent(new Event("open"));
    }

    send(message) {
      const bytes = message.slice(1);
      if (message[0] === 0) this.upstream.control(bytes);
      else if (message[0] === 1) this.upstream.ordered(bytes);
      else if (message[0] === 2) edge.large.push(...this.large.push(bytes));
      else edge.datagrams.push(bytes);
    }

    close(code, reason) {
      edge.closedByClient ??= { closeCode: code, reason };
      this.end(code ?? 1000);
    }

    end(code, reason = "") {
      if (this.readyState === 3) return;
      this.readyState = 3;
      this.dispatchEvent(Object.assign(new Event("close"), { code: code ?? 1006, reason }));
    }

    #receive(channel, bytes) {
      const { buffer } = Uint8Array.of(channel, ...bytes);
      setImmediate(() => this.dispatchEvent(Object.assign(new Event("message"), { data: buffer })));
    }

    sendControl = (bytes) => this.#receive(0, bytes);
    sendOrdered = (bytes) => this.#receive(1, bytes);
    sendDatagram = (bytes) => this.#receive(3, bytes);

    sendLarge(header, payload) {
      this.#receive(2, header);
      for (let at = 0; at < payload.length; at += 16_384) this.#receive(2, payload.subarray(at, at + 16_384));
    }
  }

  return { edge, webTransport: FakeWebTransport, webSocket: FakeWebSocket };
}

/** Answers a login as an edge does that knows no earlier session. */
export function answerLogin(edge, message) {
  if (message[0] === 0x0a) edge.send(challengeResponse("dcl-test-00"));
  if (message[0] === 0x12) edge.send(welcome("0xme", { maxPayloadBytes: 1100, heartbeatIntervalMs: 20 }));
}

export function challengeResponse(challenge) {
  return new Writer().message(1, new Writer().text(1, challenge).finish()).finish();
}

export function welcome(peerId, { maxPayloadBytes, heartbeatIntervalMs, token = "", resumed = null }) {
  const limits = new Writer().uint32(1, 65_536).uint32(2, maxPayloadBytes).uint32(3, heartbeatIntervalMs);
  const body = new Writer().message(1, new Writer().text(1, peerId).finish()).message(2, limits.finish());
  body.text(3, token).uint32(4, 60_000);
  if (resumed !== null) body.message(5, encodeReceived(resumed));
  return new Writer().message(2, body.finish()).finish();
}

export function received(received) {
  return new Writer().message(9, encodeReceived(received)).finish();
}

export function draining(closeInMs) {
  return new Writer().message(8, new Writer().uint32(1, closeInMs).finish()).finish();
}

export function subscribed({ subscription, error = 0, reason = "" }) {
  return new Writer().message(10, new Writer().uint32(1, subscription).uint32(2, error).text(3, reason).finish()).finish();
}

export function topicMessage({ subscription, number, topic, sender, payload }) {
  const body = new Writer().uint32(1, subscription).uint64(2, number).text(3, topic).text(4, sender).bytes(5, payload);
  return new Writer().message(11, body.finish()).finish();
}

export function islandChanged({ id, tag, alias, members, fromId = null, peers = [] }) {
  const island = new Writer().text(1, id).text(2, `quic:${id}`);
  if (fromId !== null) island.text(3, fromId);
  for (const { address, x, y, z } of peers) {
    const position = new Writer().float(1, x).float(2, y).float(3, z).finish();
    island.message(4, new Writer().text(1, address).message(2, position).finish());
  }
  const body = new Writer().message(1, island.finish());
  body.fixed32(2, tag).uint32(3, alias);
  for (const member of members) body.message(4, encodeMember(member));
  return new Writer().message(3, body.finish()).finish();
}

export function roomJoined({ room, tag, alias, members }) {
  const body = new Writer().fixed32(2, tag).uint32(3, alias);
  for (const member of members) body.message(4, encodeMember(member));
  return new Writer().message(3, body.text(6, room).finish()).finish();
}

export function membersChanged({ tag, joined = [], left = [] }) {
  const body = new Writer().fixed32(1, tag);
  for (const member of joined) body.message(2, encodeMember(member));
  if (left.length > 0) body.message(3, Uint8Array.from(left));
  return new Writer().message(4, body.finish()).finish();
}

export const kicked = () => new Writer().message(6, new Uint8Array(0)).finish();

export function refusal({ code, reason, count }) {
  const body = new Writer().uint32(1, code).text(2, reason).uint32(3, count);
  return new Writer().message(7, body.finish()).finish();
}

function encodeReceived({ ordered = 0, large = 0, largeBeyond = [] }) {
  return new Writer().uint64(1, ordered).uint64(2, large).packedUint64(3, largeBeyond).finish();
}

function encodeMember({ alias, name }) {
  return new Writer().uint32(1, alias).text(2, name).finish();
}

/** A small repeatable source of randomness: numbers below `limit`. */
export function random(seed) {
  let state = seed >>> 0;
  return (limit) => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return Math.floor((state / 2 ** 32) * limit);
  };
}

export const hex = (bytes) => Buffer.from(bytes).toString("hex");
export const unhex = (text) => Uint8Array.from(Buffer.from(text, "hex"));
