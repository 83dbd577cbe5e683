// Rooms that are no islands, against an edge in memory.
import assert from "node:assert/strict";
import { test } from "node:test";
import { connect, SendError } from "../lib/index.js";
import { Reader } from "../lib/protobuf.js";
import * as fake from "./fake-edge.mjs";
import { until } from "./waiting.mjs";

const ENDPOINT = { webtransport: "https://127.0.0.1:1/atoll", certificateSha256: "ab".repeat(32) };
const OPTIONS = { address: "0xMe", webSocket: null, sign: async () => "[]" };

const ME = { alias: 1, name: "0xme" };
const OTHER = { alias: 2, name: "0xother" };
const ROOM = { room: "world-a", tag: 7, alias: 1, members: [ME, OTHER] };
const ISLAND = { id: "I1", tag: 8, alias: 1, members: [ME] };

/** The connection strings that the edge was asked for, over all connections. */
function asked(edge) {
  const found = [];
  for (const message of edge.messages) {
    const outer = new Reader(message);
    if (outer.next() !== 8) continue;
    const inner = new Reader(outer.bytes());
    found.push(inner.next() === 1 ? inner.text() : "");
  }
  return found;
}

async function connected(t, onMessage = fake.answerLogin) {
  const { edge, webTransport } = fake.fakeEdge({ onMessage });
  const client = await connect(ENDPOINT, { ...OPTIONS, webTransport });
  t.after(() => client.close());
  const events = [];
  for (const name of ["room", "island", "members", "error", "restarted"]) client.on(name, (event) => events.push([name, event]));
  return { edge, client, events, names: () => events.map(([name]) => name) };
}

test("a client sits in the room that it asked for, and goes back to its island", { timeout: 5_000 }, async (t) => {
  const { edge, client, events, names } = await connected(t);
  client.joinRoom("quic:world-a");
  await until(() => asked(edge).length === 1);
  edge.send(fake.roomJoined(ROOM));
  await until(() => events.length === 1);
  assert.deepEqual(events[0], ["room", { name: "world-a", tag: 7, alias: 1, members: [ME, OTHER] }]);
  assert.deepEqual([client.island, client.joinedRoom.name], [null, "world-a"]);
  // The same seat again, as after a resume.
  edge.send(fake.roomJoined({ ...ROOM, members: [ME] }));
  await until(() => events.length === 2);
  assert.deepEqual(events[1], ["members", { joined: [], left: [OTHER], members: [ME] }]);
  client.leaveRoom();
  await until(() => asked(edge).length === 2);
  assert.deepEqual(asked(edge), ["quic:world-a", ""]);
  edge.send(fake.islandChanged(ISLAND));
  await until(() => events.length === 3);
  assert.deepEqual([names()[2], client.island.id, client.joinedRoom], ["island", "I1", null]);
  client.close();
  assert.throws(() => client.joinRoom("quic:world-a"), (error) => error instanceof SendError && error.kind === "closed");
});

test("a room is asked for again by a new session, unless it was refused", { timeout: 10_000 }, async (t) => {
  const { edge, client, names } = await connected(t);
  client.joinRoom("quic:world-a");
  await until(() => asked(edge).length === 1);
  edge.send(fake.roomJoined(ROOM));
  await until(() => names().includes("room"));
  edge.lose();
  await until(() => names().includes("restarted") && asked(edge).length === 2, 5_000);
  assert.deepEqual(asked(edge), ["quic:world-a", "quic:world-a"]);
  assert.equal(client.joinedRoom, null, "the edge has not answered");
  edge.send(fake.refusal({ code: 14, reason: "closed meanwhile", count: 1 }));
  await until(() => names().includes("error"));
  edge.lose();
  await until(() => names().filter((name) => name === "restarted").length === 2, 5_000);
  edge.send(fake.islandChanged(ISLAND));
  await until(() => client.island !== null);
  assert.equal(asked(edge).length, 2);
});
