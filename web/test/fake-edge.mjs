// An edge in memory, with the face of a browser's WebTransport: for tests of the client without a network.
import { encodeFrame, FrameDecoder } from "../lib/framing.js";
import { Writer } from "../lib/protobuf.js";

/** Makes a constructor to hand to `connect`, and the edge behind it. `shape`: which datagram API the "browser" has. */
export function fakeEdge({ shape = "writable", maxDatagramSize = 1211, onMessage = answerLogin } = {}) {
  const edge = {
    /** Options that the client gave to the constructor. */
    options: null,
    url: null,
    /** Datagrams and control messages from the client. */
    datagrams: [],
    messages: [],
    /** How the client closed, if it did. */
    closedByClient: null,
    transport: null,
  };

  class FakeWebTransport {
    constructor(url, options) {
      edge.url = url;
      edge.options = options;
      edge.transport = this;
      this.ready = Promise.resolve();
      this.closed = new Promise((resolve, reject) => {
        edge.close = (code, reason) => {
          this.#breakStreams();
          resolve({ closeCode: code, reason });
        };
        edge.lose = () => {
          this.#breakStreams();
          reject(new Error("Connection lost."));
        };
      });
      this.closed.catch(() => undefined);
      const sink = new WritableStream({ write: (bytes) => void edge.datagrams.push(bytes) });
      this.datagrams = {
        incomingHighWaterMark: 1,
        incomingMaxAge: null,
        maxDatagramSize,
        readable: new ReadableStream({ start: (controller) => (this.datagramController = controller) }),
        ...(shape === "writable" && { writable: sink }),
        ...(shape === "createWritable" && { createWritable: () => sink }),
      };
      edge.sendDatagram = (bytes) => this.datagramController.enqueue(bytes);
    }

    async createBidirectionalStream() {
      const decoder = new FrameDecoder();
      const readable = new ReadableStream({ start: (controller) => (this.controlController = controller) });
      edge.sendRaw = (bytes) => this.controlController.enqueue(bytes);
      edge.send = (message) => edge.sendRaw(encodeFrame(message));
      edge.endControl = () => this.controlController.close();
      const writable = new WritableStream({
        write: (bytes) => {
          for (const message of decoder.push(bytes)) {
            edge.messages.push(message);
            onMessage(edge, message);
          }
        },
      });
      return { readable, writable };
    }

    close(info) {
      edge.closedByClient ??= info;
    }

    #breakStreams() {
      this.controlController?.error(new Error("session closed"));
      this.datagramController?.error(new Error("session closed"));
    }
  }

  return { edge, webTransport: FakeWebTransport };
}

/** Answers the login as an edge does. */
export function answerLogin(edge, message) {
  if (message[0] === 0x0a) edge.send(challengeResponse("dcl-test-00"));
  if (message[0] === 0x12) edge.send(welcome("0xme", { maxPayloadBytes: 1100, heartbeatIntervalMs: 20 }));
}

export function challengeResponse(challenge) {
  return new Writer().message(1, new Writer().text(1, challenge).finish()).finish();
}

export function welcome(peerId, { maxPayloadBytes, heartbeatIntervalMs }) {
  const limits = new Writer().uint32(1, 65_536).uint32(2, maxPayloadBytes).uint32(3, heartbeatIntervalMs);
  const body = new Writer().message(1, new Writer().text(1, peerId).finish()).message(2, limits.finish());
  return new Writer().message(2, body.finish()).finish();
}

export function islandChanged({ id, tag, alias, members }) {
  const body = new Writer().message(1, new Writer().text(1, id).text(2, `quic:${id}`).finish());
  body.fixed32(2, tag).uint32(3, alias);
  for (const member of members) body.message(4, encodeMember(member));
  return new Writer().message(3, body.finish()).finish();
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
