// What of a room's datagrams is handed on.
import assert from "node:assert/strict";
import { test } from "node:test";
import { Kind } from "../lib/datagram.js";
import { Room } from "../lib/room.js";
import { newStats } from "../lib/stats.js";
import { unhex } from "./fake-edge.mjs";

const POSITION = unhex("0a00");
const MOVEMENT = unhex("4200");
const CHAT = unhex("2a00");
const TAG = 7;
const MEMBERS = [
  { alias: 1, name: "0xme" },
  { alias: 2, name: "0xother" },
];

const update = (alias, sequence, payload = POSITION) => ({ alias, kind: Kind.Update, sequence, payload });
const event = (alias, sequence, payload = CHAT) => ({ alias, kind: Kind.Event, sequence, payload });

function setUp() {
  const stats = newStats();
  const room = new Room(TAG, 1, MEMBERS);
  const receive = (...entries) => room.receive({ tag: TAG, entries, whole: true }, stats).map((packet) => packet.sequence);
  return { stats, room, receive };
}

test("own packets, unknown members and other rooms are dropped and counted", () => {
  const { stats, room, receive } = setUp();
  assert.deepEqual(receive(update(1, 1), update(2, 2), update(9, 3), event(2, 4)), [2, 4]);
  assert.deepEqual(room.receive({ tag: 8, entries: [update(2, 5)], whole: true }, stats), []);
  assert.equal(stats.own, 1);
  assert.equal(stats.droppedUnknownMember, 1);
  assert.equal(stats.droppedUnknownTag, 1);
  assert.equal(stats.packetsReceived, 2);
});

test("an update older than the last of its kind is dropped, also across the wrap", () => {
  const { stats, receive } = setUp();
  assert.deepEqual(receive(update(2, 65_534), update(2, 65_533), update(2, 65_534), update(2, 1), update(2, 65_535)), [65_534, 1]);
  assert.equal(stats.droppedStale, 3);
  assert.deepEqual(receive(update(2, 0, MOVEMENT)), [0], "another kind of packet has its own order");
  assert.deepEqual(receive(event(2, 0), event(2, 65_000)), [0, 65_000], "events have none");
  assert.deepEqual(receive(update(2, 3, CHAT), update(2, 2, CHAT)), [3, 2], "what is no state is no update");
});

test("a member that comes back starts afresh", () => {
  const { room, receive } = setUp();
  assert.deepEqual(receive(update(2, 100)), [100]);
  assert.deepEqual(room.change([], [2, 55]), [{ alias: 2, name: "0xother" }]);
  assert.deepEqual(receive(update(2, 101)), []);
  assert.deepEqual(room.change([{ alias: 2, name: "0xnext" }], []), []);
  assert.deepEqual(receive(update(2, 3)), [3]);
  assert.deepEqual(room.members, [
    { alias: 1, name: "0xme" },
    { alias: 2, name: "0xnext" },
  ]);
});

test("who came and went while nobody listened", () => {
  const { room, receive } = setUp();
  assert.deepEqual(receive(update(2, 100)), [100]);
  assert.deepEqual(room.replace([...MEMBERS, { alias: 3, name: "0xnew" }]), { joined: [{ alias: 3, name: "0xnew" }], left: [] });
  assert.deepEqual(receive(update(2, 99)), [], "who stayed goes on");
  const next = [MEMBERS[0], { alias: 2, name: "0xnext" }];
  const left = [{ alias: 2, name: "0xother" }, { alias: 3, name: "0xnew" }];
  assert.deepEqual(room.replace(next), { joined: [{ alias: 2, name: "0xnext" }], left });
  assert.deepEqual(room.members, next);
  assert.deepEqual(receive(update(2, 1)), [1]);
});
