// The client against an edge in memory.
import assert from "node:assert/strict";
import { once } from "node:events";
import { createServer } from "node:http";
import { test } from "node:test";
import { connect, ConnectError, Kind, SendError } from "../lib/index.js";
import { decodeUp, encodeDown } from "../lib/datagram.js";
import * as fake from "./fake-edge.mjs";
import { next, until } from "./waiting.mjs";

const ENDPOINT = { webtransport: "https://127.0.0.1:1/atoll", certificateSha256: "ab".repeat(32) };
const OPTIONS = { address: "0xMe", reconnect: false, webSocket: null, sign: async (challenge) => JSON.stringify([{ type: "X", payload: challenge }]) };
const ROOM = {
  id: "I1",
  tag: 42,
  alias: 1,
  members: [
    { alias: 1, name: "0xme" },
    { alias: 2, name: "0xother" },
  ],
};
const POSITION = fake.unhex("0a00");



async function seated(t, options = {}) {
  const { edge, webTransport } = fake.fakeEdge(options);
  const client = await connect(ENDPOINT, { ...OPTIONS, webTransport });
  t.after(() => client.close());
  const island = next(client, "island");
  edge.send(fake.islandChanged(ROOM));
  return { edge, client, island: await island };
}

const chunk = (...entries) => encodeDown({ tag: ROOM.tag, entries });

test("login, island, packets both ways", { timeout: 5_000 }, async (t) => {
  const { edge, client, island } = await seated(t);
  assert.equal(edge.url, ENDPOINT.webtransport);
  assert.deepEqual(edge.options.protocols, ["atoll.1"]);
  assert.deepEqual(edge.options.serverCertificateHashes[0].value, new Uint8Array(32).fill(0xab));
  assert.equal(fake.hex(edge.messages[0]), `0a060a04${Buffer.from("0xMe").toString("hex")}`);
  assert.match(Buffer.from(edge.messages[1]).toString(), /\[\{"type":"X","payload":"dcl-test-00"\}\]/);
  assert.equal(client.address, "0xme");
  assert.equal(island.id, "I1");
  assert.deepEqual(client.island.members, ROOM.members);
  assert.ok(edge.transport.datagrams.incomingHighWaterMark > 1);
  assert.ok(edge.transport.datagrams.incomingMaxAge > 0);

  const packet = next(client, "packet");
  edge.sendDatagram(chunk({ alias: 1, kind: 0, sequence: 1, payload: POSITION }, { alias: 2, kind: 0, sequence: 1, payload: POSITION }));
  assert.deepEqual(await packet, { address: "0xother", kind: Kind.Update, sequence: 1, payload: POSITION });
  assert.equal(client.stats.own, 1);

  client.sendUpdate(POSITION);
  client.sendEvent(POSITION);
  await until(() => edge.datagrams.length === 2);
  const sent = edge.datagrams.map(decodeUp);
  assert.deepEqual(sent.map(({ kind, tag, sequence }) => [kind, tag, sequence]), [[0, 42, 0], [1, 42, 1]]);
});

test("members come and go", { timeout: 5_000 }, async (t) => {
  const { edge, client } = await seated(t);
  const change = next(client, "members");
  edge.send(fake.membersChanged({ tag: 41, left: [2] }));
  edge.send(fake.membersChanged({ tag: 42, joined: [{ alias: 3, name: "0xnew" }], left: [2] }));
  const { joined, left, members } = await change;
  assert.deepEqual([joined, left], [[{ alias: 3, name: "0xnew" }], [{ alias: 2, name: "0xother" }]]);
  assert.deepEqual(members.map(({ name }) => name), ["0xme", "0xnew"]);
  assert.equal(client.stats.droppedMessages, 1, "the change of another room");
});

test("the browsers' other datagram API works too", { timeout: 5_000 }, async (t) => {
  const { edge, client } = await seated(t, { shape: "createWritable" });
  client.sendUpdate(POSITION);
  await until(() => edge.datagrams.length === 1);
});

test("a session without datagrams is a typed error", { timeout: 5_000 }, async () => {
  const { webTransport } = fake.fakeEdge({ shape: "none" });
  await assert.rejects(connect(ENDPOINT, { ...OPTIONS, webTransport }), (error) => error.kind === "unsupported");
});

test("what cannot be sent is a typed error", { timeout: 5_000 }, async (t) => {
  const { webTransport, edge } = fake.fakeEdge({ maxDatagramSize: 1000 });
  const client = await connect(ENDPOINT, { ...OPTIONS, webTransport });
  t.after(() => client.close());
  const kind = (expected) => (error) => error instanceof SendError && error.kind === expected;
  assert.throws(() => client.sendUpdate(POSITION), kind("not_seated"));
  const island = next(client, "island");
  edge.send(fake.islandChanged(ROOM));
  await island;
  assert.throws(() => client.sendEvent(new Uint8Array(1101)), kind("payload_too_large"));
  assert.throws(() => client.sendEvent(new Uint8Array(994)), kind("payload_too_large"), "the browser would drop it");
  client.sendEvent(new Uint8Array(993));
  for (const x of [Number.NaN, Number.POSITIVE_INFINITY, 1_000_001]) {
    assert.throws(() => client.move({ x, y: 0, z: 0 }), kind("invalid_position"));
  }
  client.close();
  assert.throws(() => client.sendEvent(POSITION), kind("closed"));
  assert.throws(() => client.move({ x: 0, y: 0, z: 0 }), kind("closed"));
});

test("heartbeats: at once, then at the edge's interval", { timeout: 5_000 }, async (t) => {
  const { edge, client } = await seated(t);
  assert.equal(edge.messages.length, 2, "none before the first move");
  client.move({ x: 1, y: 0, z: -2.5 });
  await until(() => edge.messages.length >= 5);
  for (const message of edge.messages.slice(2)) assert.equal(fake.hex(message), "1a0c0a0a0d0000803f1d000020c0");
});

test("garbage raises nothing and is counted", { timeout: 5_000 }, async (t) => {
  const { edge, client } = await seated(t);
  const random = fake.random(3);
  const rounds = 2_000;
  for (let round = 0; round < rounds; round++) {
    edge.sendDatagram(Uint8Array.from({ length: random(60) }, () => random(256)));
    edge.send(Uint8Array.from([0x1a, 30 + random(90), ...Array.from({ length: random(30) }, () => 0x80 + random(128))]));
  }
  for (const byte of ["02", "2a", "00"]) edge.sendRaw(fake.unhex(byte));
  const packet = next(client, "packet");
  edge.sendDatagram(chunk({ alias: 2, kind: 0, sequence: 9, payload: POSITION }));
  assert.equal((await packet).sequence, 9);
  const { droppedMalformed, droppedUnknownTag, datagramsReceived } = client.stats;
  assert.equal(datagramsReceived, rounds + 1);
  assert.ok(droppedMalformed > 0 && droppedMalformed + droppedUnknownTag >= rounds, "of a bad chunk the tag is read, too");
  // The last one is a message of a later version.
  await until(() => client.stats.droppedMessages === rounds + 1);
});

test("a frame that cannot be read ends the session with 4006", { timeout: 5_000 }, async (t) => {
  const { edge, client } = await seated(t);
  edge.sendRaw(fake.unhex("ffffff"));
  const closed = await client.closed;
  assert.deepEqual([closed.code, closed.name, closed.retry], [4006, "malformed", "do not retry"]);
  assert.equal(edge.closedByClient.closeCode, 4006);
});

test("closed tells code, name and what to do", { timeout: 5_000 }, async (t) => {
  for (const [code, name, retry] of [[4000, "shutting_down", "retry"], [4011, "overloaded", "retry elsewhere"], [4002, "kicked", "do not retry"]]) {
    const { edge, client } = await seated(t);
    const event = next(client, "closed");
    edge.close(code, "because");
    assert.deepEqual(await client.closed, { code, name, reason: "because", retry });
    assert.deepEqual(await event, await client.closed);
    assert.equal(client.island, null);
  }
});

test("a lost connection, and a kick whose code was lost with it", { timeout: 5_000 }, async (t) => {
  const lost = await seated(t);
  lost.edge.lose();
  assert.deepEqual(await lost.client.closed, { code: null, name: "connection_lost", reason: "Connection lost.", retry: "retry" });
  const kicked = await seated(t);
  kicked.edge.send(fake.kicked());
  await until(() => kicked.client.stats.messagesReceived === 2);
  kicked.edge.lose();
  assert.equal((await kicked.client.closed).code, 4002);
});

test("refusals are events", { timeout: 5_000 }, async (t) => {
  const { edge, client } = await seated(t);
  const error = next(client, "error");
  edge.send(fake.refusal({ code: 5, reason: "slow down", count: 3 }));
  assert.deepEqual(await error, { code: 5, name: "TOO_FAST", reason: "slow down", count: 3 });
});

test("a refused login tells the close code", { timeout: 5_000 }, async () => {
  const { webTransport } = fake.fakeEdge({ onMessage: (edge) => edge.close(4009, "bad signature") });
  await assert.rejects(connect(ENDPOINT, { ...OPTIONS, webTransport }), (error) => {
    assert.ok(error instanceof ConnectError);
    assert.equal(error.kind, "closed");
    assert.deepEqual(error.closed, { code: 4009, name: "unauthorized", reason: "bad signature", retry: "do not retry" });
    return true;
  });
});

test("a silent edge is a timeout, a failing signer a sign error", { timeout: 5_000 }, async () => {
  const silent = fake.fakeEdge({ onMessage: () => undefined });
  const kind = (expected) => (error) => error instanceof ConnectError && error.kind === expected;
  await assert.rejects(connect(ENDPOINT, { ...OPTIONS, webTransport: silent.webTransport, timeoutMs: 30 }), kind("timeout"));
  assert.ok(silent.edge.closedByClient);
  const { webTransport } = fake.fakeEdge();
  const sign = async () => { throw new Error("no wallet"); };
  await assert.rejects(connect(ENDPOINT, { ...OPTIONS, sign, webTransport }), kind("sign"));
  await assert.rejects(connect(ENDPOINT, OPTIONS), kind("unsupported"));
});

test("discovery asks /about, also of an edge that says it is not healthy", { timeout: 5_000 }, async (t) => {
  const answers = {
    "/about": [503, JSON.stringify({ healthy: false, comms: { atoll: { webtransport: "https://127.0.0.1:2/atoll" } } })],
    "/realm/about": [200, "{}"],
    "/broken/about": [200, "<html>"],
  };
  const server = createServer((request, response) => {
    const [status, body] = answers[request.url] ?? [404, "null"];
    response.writeHead(status).end(body);
  }).listen(0, "127.0.0.1");
  await once(server, "listening");
  t.after(() => server.close());
  const base = `http://127.0.0.1:${server.address().port}`;
  const { edge, webTransport } = fake.fakeEdge();
  const client = await connect(base, { ...OPTIONS, webTransport });
  client.close();
  assert.equal(edge.url, "https://127.0.0.1:2/atoll");
  assert.equal(edge.options.serverCertificateHashes, undefined);
  for (const path of ["/realm", "/broken/", "/none"]) {
    await assert.rejects(connect(base + path, { ...OPTIONS, webTransport }), (error) => error.kind === "discovery");
  }
});

test("a listener that throws harms nobody", { timeout: 5_000 }, async (t) => {
  const { edge, client } = await seated(t);
  t.mock.method(console, "error", () => undefined);
  client.on("packet", () => { throw new Error("listener"); });
  const packet = next(client, "packet");
  edge.sendDatagram(chunk({ alias: 2, kind: 1, sequence: 1, payload: POSITION }));
  await packet;
  assert.equal(console.error.mock.callCount(), 1);
});
