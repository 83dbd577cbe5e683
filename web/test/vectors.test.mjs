// The project's vectors: this codec and the Rust one read and write the same bytes.
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { fileURLToPath } from "node:url";
import { decodeDown, decodeUp, encodeDown, encodeUp } from "../lib/datagram.js";
import { encodeFrame, FrameDecoder } from "../lib/framing.js";
import { decodeServerMessage, encodeClientMessage } from "../lib/messages.js";
import { DecodeError } from "../lib/protobuf.js";
import { decodePacket, encodeChat, encodePosition, updateKind } from "../lib/rfc4.js";
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
    const datagram = { ...value, entries };
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

test("vectors: what a client sends", () => {
  const cases = {
    challengeRequest: ({ address }) => ({ case: "challengeRequest", address }),
    login: ({ signedChallenge, capabilities }) => ({
      case: "login",
      authChainJson: signedChallenge.authChainJson,
      schemes: capabilities?.schemes ?? [],
    }),
    heartbeat: (heartbeat) => ({ case: "heartbeat", ...heartbeat }),
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
    welcome: ({ welcome, limits }) => ({ peerId: welcome.peerId, limits }),
    islandChanged: ({ island, ...rest }) => ({
      island: { ...island, fromIslandId: island.fromIslandId ?? null, peers: new Map(Object.entries(island.peers)) },
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
