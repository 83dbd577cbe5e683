// The codecs: framing, datagrams, messages, packets.
import assert from "node:assert/strict";
import { test } from "node:test";
import { decodeDown, decodeUp, encodeDown, encodeUp, isNewer, Kind } from "../lib/datagram.js";
import { encodeFrame, FrameDecoder, FrameError } from "../lib/framing.js";
import { decodeServerMessage, encodeClientMessage } from "../lib/messages.js";
import { DecodeError } from "../lib/protobuf.js";
import { decodePacket, encodeChat, encodePosition, updateKind } from "../lib/rfc4.js";
import { hex, random, unhex } from "./fake-edge.mjs";

test("frames survive any split", () => {
  const messages = [0, 1, 127, 128, 16_383, 16_384, 65_536].map((length) => new Uint8Array(length).fill(length & 0xff));
  const stream = Buffer.concat(messages.map((message) => encodeFrame(message)));
  for (const step of [1, 2, 3, 7, 1000, 16_384, stream.length]) {
    const decoder = new FrameDecoder();
    const found = [];
    for (let at = 0; at < stream.length; at += step) {
      for (const message of decoder.push(stream.subarray(at, at + step))) found.push(Uint8Array.from(message));
    }
    assert.deepEqual(found, messages, `step ${step}`);
  }
});

test("a length above the limit ends the stream of frames", () => {
  assert.throws(() => encodeFrame(new Uint8Array(65_537)), FrameError);
  for (const prefix of ["818004", "ffff7f", "ffffff", "80808000"]) {
    assert.throws(() => [...new FrameDecoder().push(unhex(prefix))], FrameError, prefix);
  }
  assert.deepEqual([...new FrameDecoder().push(unhex("808004"))], [], "exactly the limit waits for its message");
});

test("datagrams have the documented bytes", () => {
  const up = { kind: Kind.Event, tag: 0x01020304, sequence: 0xfffe, payload: unhex("aabb") };
  assert.equal(hex(encodeUp(up)), "0101020304fffeaabb");
  assert.deepEqual(decodeUp(encodeUp(up)), up);
  const down = {
    tag: 0xdeadbeef,
    entries: [
      { alias: 300, kind: Kind.Update, sequence: 1, payload: new Uint8Array(130).fill(7) },
      { alias: 0xffffffff, kind: Kind.Voice, sequence: 65_535, payload: new Uint8Array(0) },
    ],
    whole: true,
  };
  assert.equal(hex(encodeDown(down)), `deadbeef${"ac020000018201"}${"07".repeat(130)}ffffffff0f02ffff00`);
  assert.deepEqual(decodeDown(encodeDown(down)), down);
});

test("datagrams that cannot be read are good up to the fault, never an exception", () => {
  for (const short of ["", "00", "000000000000"]) assert.equal(decodeUp(unhex(short)), null);
  assert.equal(decodeUp(unhex("03000000010000")), null, "unknown kind");
  for (const bad of ["", "000000", "0000000101", "00000001010000", "0000000101030000", "0000000101000000", "00000001010000000141"]) {
    const decoded = decodeDown(unhex(bad));
    assert.ok(decoded === null || !decoded.whole || hex(encodeDown(decoded)) === bad, bad);
  }
  const good = "0201000501aa";
  const faults = [
    ["ffffffff1f00000000", "an alias above 32 bits"],
    ["01000000ffffffff0f", "a giant length"],
    ["0103000000", "an unknown kind"],
    ["01", "an end"],
  ];
  for (const [fault, note] of faults) {
    const { entries, whole } = decodeDown(unhex(`00000001${good}${fault}`));
    assert.deepEqual([entries.length, entries[0].sequence, whole], [1, 5, false], note);
  }
  const next = random(1);
  for (let round = 0; round < 20_000; round++) {
    const bytes = Uint8Array.from({ length: next(40) }, () => next(256));
    const decoded = decodeDown(bytes);
    if (decoded !== null) for (const entry of decoded.entries) assert.ok(entry.payload.length <= bytes.length);
    decodeUp(bytes);
    updateKind(bytes);
  }
});

test("serial arithmetic", () => {
  for (const [b, a] of [[1, 0], [0, 65_535], [32_767, 0], [5, 65_000]]) assert.ok(isNewer(b, a), `${b} after ${a}`);
  for (const [b, a] of [[0, 0], [0, 1], [32_768, 0], [65_535, 0]]) assert.ok(!isNewer(b, a), `${b} not after ${a}`);
});

test("messages have the bytes that Comms V3 has", () => {
  const heartbeat = { case: "heartbeat", position: { x: 1, y: 0, z: -2.5 } };
  assert.equal(hex(encodeClientMessage(heartbeat)), "1a0c0a0a0d0000803f1d000020c0");
  const withRoom = { case: "heartbeat", position: { x: 0, y: 0, z: 0 }, desiredRoom: "I1" };
  assert.equal(hex(encodeClientMessage(withRoom)), "1a060a0012024931");
  const island = "0a024931120f6f66666c696e653a6f66666c696e6522160a03307861120f0d0000803f15000000401d00004040";
  const frame = unhex(`1a360a2d${island}15efbeadde1802`);
  assert.deepEqual(decodeServerMessage(frame), {
    case: "islandChanged",
    island: {
      islandId: "I1",
      connStr: "offline:offline",
      fromIslandId: null,
      peers: new Map([["0xa", { x: 1, y: 2, z: 3 }]]),
    },
    tag: 0xdeadbeef,
    alias: 2,
    members: [],
    foreignTransport: null,
    room: null,
  });
});

test("coordinates of either size are read as meant", () => {
  const double = Buffer.alloc(8);
  double.writeDoubleLE(2.5);
  const position = `09${double.toString("hex")}`;
  const peer = `0a013112${"09"}${position}`;
  const message = unhex(`1a120a10220e${peer}`);
  assert.deepEqual(decodeServerMessage(message).island.peers.get("1"), { x: 2.5, y: 0, z: 0 });
});

test("garbage messages raise DecodeError and nothing else", () => {
  const next = random(2);
  let unreadable = 0;
  for (let round = 0; round < 50_000; round++) {
    // Keys that exist, so that the inner messages are reached too.
    const keys = [0x0a, 0x12, 0x1a, 0x22, 0x32, 0x3a];
    const length = next(30);
    const bytes = Uint8Array.from([keys[next(6)], length, ...Array.from({ length: next(34) }, () => next(256))]);
    try {
      decodeServerMessage(bytes);
    } catch (error) {
      assert.ok(error instanceof DecodeError, String(error));
      unreadable++;
    }
  }
  assert.ok(unreadable > 1_000);
  assert.deepEqual(decodeServerMessage(unhex("2a00")), { case: "unknown" }, "a case of a later version");
});

test("packets: position and chat as the original client writes them", () => {
  const bytes = "0a2708f3e9041d5c83cc44256cc136412d648c79c4352c19913e3d7e02e03e453216993e4d489e4c3f";
  const packet = decodePacket(unhex(bytes));
  assert.equal(packet.case, "position");
  assert.equal(packet.position.index, 79_091);
  assert.equal(packet.position.positionX, 1636.10498046875);
  assert.equal(hex(encodePosition(packet.position)), bytes);
  assert.equal(updateKind(unhex(bytes)), 1);
  const chat = encodeChat({ message: "ahoi ⛵", timestamp: 1_700_000_000_123 });
  assert.deepEqual(decodePacket(chat), { case: "chat", chat: { message: "ahoi ⛵", timestamp: 1_700_000_000_123 } });
  assert.equal(updateKind(chat), null);
  assert.deepEqual(decodePacket(unhex("")), { case: "none" });
});

test("updateKind sees past the protocol version and takes the last case", () => {
  assert.equal(updateKind(unhex("58016200")), 12, "version, then movement_compressed");
  assert.equal(updateKind(unhex("42005801")), 8, "movement, then version");
  assert.equal(updateKind(unhex("0a002a00")), null, "position, then chat");
  assert.equal(updateKind(unhex("0aff")), null, "truncated");
});
