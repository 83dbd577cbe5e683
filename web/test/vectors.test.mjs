// The project's vectors: this codec and the Rust one read and write the same bytes.
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { fileURLToPath } from "node:url";
import { decodeDown, decodeUp, encodeDown, encodeUp } from "../lib/datagram.js";
import { encodeFrame, FrameDecoder, MAX_ORDERED_FRAME_BYTES } from "../lib/framing.js";
import { decodeOrdered, encodeLarge, encodeOrdered } from "../lib/lane-messages.js";
import { MAX_LARGE_BYTES } from "../lib/lane-streams.js";
import { LargeDecoder } from "../lib/large-decoder.js";
import { decodeServerMessage, encodeClientMessage } from "../lib/messages.js";
import { DecodeError } from "../lib/protobuf.js";
import { decodePacket, encodeChat, encodePosition, updateKind } from "../lib/rfc4.js";
import { WebSocketCarrier } from "../lib/websocket.js";
import { hex, unhex } from "./fake-edge.mjs";

const OURS = fileURLToPath(new URL("../../proto/vectors", import.meta.url));
const read = (folder, name) => JSON.parse(readFileSync(join(folder, name), "utf8"));
const native = read(OURS, "atoll1.json");
// Vectors of the original clients: another set of the same format may be given.
const rfc4 = read(process.env.ATOLL_VECTORS ?? OURS, "rfc4.json");

test("vectors: datagrams", () => {
  assert.ok(native.datagrams_up.length > 0 && native.datagrams_down.length > 0);
  for (const { note, hex: bytes, value } of native.datagrams_up) {
    const datagram = { ...value, payload: unhex(value.payload) };
    assert.equal(hex(encodeUp(datagram)), bytes, note);
    assert.deepEqual(decodeUp(unhex(bytes)), datagram, note);
  }
  for (const { note, hex: bytes, value } of native.datagrams_down) {
    const entries = value.entries.map((entry) => ({ ...entry, payload: unhex(entry.payload) }));
    const datagram = { ...value, entries, whole: true };
    assert.equal(hex(encodeDown(datagram)), bytes, note);
    assert.deepEqual(decodeDown(unhex(bytes)), datagram, note);
  }
});

test("vectors: frames", () => {
  assert.ok(native.frames.length > 0);
  for (const { note, hex: bytes, value } of native.frames) {
    assert.equal(hex(encodeFrame(unhex(value.message))), bytes, note);
    assert.deepEqual([...new FrameDecoder().push(unhex(bytes))].map(hex), [value.message], note);
  }
});

test("vectors: frames of the ordered stream", () => {
  assert.ok(native.ordered_frames.length > 0);
  for (const { note, hex: bytes, value } of native.ordered_frames) {
    const [name, body] = Object.entries(value)[0];
    const message = name === "gap" ? { case: name, ...body } : { case: name, sender: null, ...body, payload: unhex(body.payload) };
    assert.equal(hex(encodeFrame(encodeOrdered(message), MAX_ORDERED_FRAME_BYTES)), bytes, note);
    const found = [...new FrameDecoder(MAX_ORDERED_FRAME_BYTES).push(unhex(bytes))].map(decodeOrdered);
    assert.deepEqual(found, [message], note);
  }
});

test("vectors: large messages, one by one and in a row, however split", () => {
  assert.ok(native.large_messages.length > 0);
  const items = [];
  for (const { note, hex: bytes, value } of native.large_messages) {
    const [name, { payload = "", ...body }] = Object.entries(value)[0];
    const header = name === "gap" ? { case: name, ...body } : { case: name, sender: null, ...body };
    assert.equal(hex(encodeFrame(encodeLarge(header))) + payload, bytes, note);
    items.push(name === "gap" ? header : { case: name, header, payload: unhex(payload) });
    assert.deepEqual([...new LargeDecoder(MAX_LARGE_BYTES).push(unhex(bytes))], items.slice(-1), note);
  }
  const row = unhex(native.large_messages.map(({ hex: bytes }) => bytes).join(""));
  for (const step of [1, 2, 3, 50, row.length]) {
    const decoder = new LargeDecoder(MAX_LARGE_BYTES);
    const found = [];
    for (let at = 0; at < row.length; at += step) found.push(...decoder.push(row.slice(at, at + step)));
    assert.deepEqual(found, items, `step ${step}`);
  }
});

test("vectors: WebSocket messages", async () => {
  assert.ok(native.websocket_messages.length > 0);
  const read = async (bytes) => {
    const socket = Object.assign(new EventTarget(), { bufferedAmount: 0, close: () => undefined });
    const opening = WebSocketCarrier.open(socket);
    socket.dispatchEvent(new Event("open"));
    const found = [];
    const carrier = await opening;
    carrier.start({
      control: (message) => found.push([0, hex(message)]),
      ordered: (message) => found.push([1, hex(message)]),
      large: (item) => found.push([2, item]),
      datagram: (datagram) => found.push([3, hex(datagram)]),
    });
    socket.dispatchEvent(Object.assign(new Event("message"), { data: bytes.buffer }));
    carrier.close(0, "");
    return { found, end: (await carrier.closed).code };
  };
  for (const { note, hex: bytes, value } of native.websocket_messages) {
    const { found, end } = await read(unhex(bytes));
    assert.equal(end, 0, note);
    if (value.channel === 1) assert.deepEqual(found, [[1, "120408031003"]], note);
    else assert.deepEqual(found, value.channel === 3 ? [[3, value.bytes]] : [], note);
  }
  for (const bad of [unhex(""), unhex("0400"), new Uint8Array(66_561)]) assert.equal((await read(bad)).end, 4006, hex(bad.slice(0, 4)));
});

test("vectors: what a client sends", () => {
  const cases = {
    challengeRequest: ({ address }) => ({ case: "challengeRequest", address }),
    login: ({ signedChallenge, signedFetch, resume, capabilities }) => ({
      case: "login",
      ...(signedChallenge && { authChainJson: signedChallenge.authChainJson }),
      ...(signedFetch && { signedFetch }),
      ...(resume && { resume }),
      schemes: capabilities?.schemes ?? [],
    }),
    received: (received) => ({ case: "received", received }),
    heartbeat: (heartbeat) => ({ case: "heartbeat", ...heartbeat }),
    publish: ({ topic, payload }) => ({ case: "publish", topic, payload: unhex(payload) }),
    subscribe: (body) => ({ case: "subscribe", ...body }),
    unsubscribe: (body) => ({ case: "unsubscribe", ...body }),
    joinRoom: (body) => ({ case: "joinRoom", ...body }),
  };
  assert.ok(native.client_messages.length > 0);
  for (const { note, hex: bytes, value } of native.client_messages) {
    const [name, body] = Object.entries(value)[0];
    assert.equal(hex(encodeClientMessage(cases[name](body))), bytes, note);
  }
});

test("vectors: what the edge sends", () => {
  const cases = {
    challengeResponse: (body) => body,
    welcome: ({ welcome, limits, resumeToken = "", resumeWindowMs = 0, resumed = null }) => ({
      peerId: welcome.peerId,
      limits: { maxOrderedBytes: 0, maxLargeBytes: 0, ...limits },
      resumeToken,
      resumeWindowMs,
      resumed,
    }),
    received: (received) => ({ received }),
    draining: (body) => body,
    subscribed: (body) => body,
    topicMessage: ({ payload, ...rest }) => ({ ...rest, payload: unhex(payload) }),
    islandChanged: ({ island = { islandId: "", connStr: "", peers: {} }, foreignTransport = null, room = null, ...rest }) => ({
      island: { ...island, fromIslandId: island.fromIslandId ?? null, peers: new Map(Object.entries(island.peers)) },
      foreignTransport: foreignTransport?.connectionString ?? null,
      room,
      ...rest,
    }),
    membersChanged: (body) => body,
    kicked: () => ({}),
    error: (body) => body,
  };
  assert.ok(native.server_messages.length > 0);
  for (const { note, hex: bytes, value } of native.server_messages) {
    const [name, body] = Object.entries(value)[0];
    assert.deepEqual(decodeServerMessage(unhex(bytes)), { case: name, ...cases[name](body) }, note);
  }
});

test("vectors: the original clients' packets", () => {
  let known = 0;
  for (const { message, note, hex: bytes, value, roundTrips } of rfc4.entries) {
    if (!message.endsWith(".Packet")) continue;
    const payload = unhex(bytes);
    if (value === undefined || value === null) {
      assert.throws(() => decodePacket(payload), DecodeError, note);
      continue;
    }
    const { $case: name } = value.message ?? { $case: "none" };
    const packet = decodePacket(payload);
    if (name !== "position" && name !== "chat") {
      assert.equal(packet.case, name === "none" ? "none" : "other", note);
      assert.equal(updateKind(payload), null, note);
      continue;
    }
    known++;
    assert.deepEqual(packet, { case: name, [name]: plain(value.message[name]) }, note);
    assert.equal(updateKind(payload), name === "position" ? 1 : null, note);
    const encode = name === "position" ? encodePosition : encodeChat;
    if (roundTrips) assert.equal(hex(encode(packet[name])), bytes, note);
  }
  assert.ok(known > 0);
});

/** The vectors write numbers that JSON has not as `{ "$float": "NaN" }`. */
function plain(fields) {
  return Object.fromEntries(
    Object.entries(fields).map(([name, value]) => [name, typeof value === "object" ? Number(value.$float) : value]),
  );
}
