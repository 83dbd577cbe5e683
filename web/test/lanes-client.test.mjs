// The client's ordered and large messages, cut connections and changes of way, against an edge in memory.
import assert from "node:assert/strict";
import { test } from "node:test";
import { connect, ConnectError, SendError } from "../lib/index.js";
import * as fake from "./fake-edge.mjs";
import { next, until } from "./waiting.mjs";

const ENDPOINT = { webtransport: "https://127.0.0.1:1/atoll", websocket: "ws://127.0.0.1:2/atoll/ws", serverName: "Edge-1" };
const WAYS = ["webtransport", "websocket"];
const ROOM = {
  id: "I1",
  tag: 42,
  alias: 1,
  members: [
    { alias: 1, name: "0xme" },
    { alias: 2, name: "0xother" },
  ],
};
const OTHER = { alias: 2, name: "0xother" };
const bytes = (text) => Uint8Array.from(Buffer.from(text));
const text = (payload) => Buffer.from(payload).toString();
const ordered = (number, payload) => ({ case: "ordered", tag: 42, number, sender: OTHER, payload: bytes(payload) });
const large = (number, length) => ({ case: "large", tag: 42, number, sender: OTHER, length });
const kind = (expected) => (error) => error instanceof SendError && error.kind === expected;

const sign = async (signed) => JSON.stringify([{ type: "X", payload: signed }]);

/**
 * An edge that hands out the tokens t1, t2, ... and takes each once. `resumed`: what it says to have of the client's;
 * `null`: it knows no session any more.
 */
function edgeWithSessions(options = {}) {
  const login = { forms: [], tokens: 0, valid: "", resumed: { ordered: 0 } };
  const onMessage = (edge, message, connection) => {
    if (message[0] === 0x0a) edge.send(fake.challengeResponse("dcl-test-00"));
    if (message[0] !== 0x12) return;
    const body = text(message);
    const form = /connect:/.test(body) ? "fetch" : (/\bt\d+/.exec(body)?.[0] ?? "challenge");
    login.forms.push(form);
    login.last = body;
    if (options.refuse?.(form) === true) return connection.end(4009, "refused");
    const isToken = /^t\d/.test(form);
    if (isToken && (login.resumed === null || form !== login.valid)) {
      return connection.sendControl(framed(fake.refusal({ code: 10, reason: "no such session", count: 1 })));
    }
    login.valid = `t${++login.tokens}`;
    const resumed = isToken ? login.resumed : null;
    const answer = fake.welcome("0xme", { maxPayloadBytes: 1100, heartbeatIntervalMs: 1_000, token: login.valid, resumed });
    connection.sendControl(framed(answer));
    connection.sendControl(framed(fake.islandChanged(ROOM)));
  };
  return { login, ...fake.fakeEdge({ ...options, onMessage }) };
}

const framed = (message) => Uint8Array.of(...lengthOf(message.length), ...message);
const lengthOf = (length) => (length < 128 ? [length] : [(length & 0x7f) | 0x80, length >> 7]);

async function seated(t, { way = "webtransport", ...options } = {}) {
  const made = edgeWithSessions(options);
  const doors = { webTransport: made.webTransport, webSocket: made.webSocket, ...(way === "websocket" && { webTransport: null }) };
  const client = await connect(ENDPOINT, { address: "0xMe", sign, ...doors, ...options.client });
  t.after(() => client.close());
  await next(client, "island");
  assert.equal(client.way, way);
  return { ...made, client };
}

for (const way of WAYS) {
  test(`${way}: ordered and large messages go both ways and are acknowledged`, { timeout: 5_000 }, async (t) => {
    const { edge, client } = await seated(t, { way });
    const heard = [];
    client.on("ordered", ({ address, payload }) => heard.push([address, text(payload)]));
    client.on("large", ({ address, payload }) => heard.push([address, payload.length]));
    edge.sendOrdered(ordered(1, "one"));
    edge.sendOrdered(ordered(2, "two"));
    edge.sendLarge(large(1, 70_000), new Uint8Array(70_000));
    await until(() => heard.length === 3);
    assert.deepEqual(heard.filter(([, what]) => typeof what === "string"), [["0xother", "one"], ["0xother", "two"]]);
    assert.deepEqual(heard.find(([, what]) => typeof what === "number"), ["0xother", 70_000]);
    await until(() => edge.messages.some((message) => fake.hex(message) === "220408021001"));

    client.sendOrdered(bytes("three"));
    client.sendOrdered(new Uint8Array(65_536));
    client.sendLarge(new Uint8Array(1_048_576).fill(7));
    await until(() => edge.ordered.length === 2 && edge.large.length === 1);
    assert.deepEqual(edge.ordered.map(({ tag, number, payload }) => [tag, number, payload.length]), [[42, 1, 5], [42, 2, 65_536]]);
    const [{ header, payload }] = edge.large;
    assert.deepEqual([header.tag, header.number, header.sender, payload.every((byte) => byte === 7)], [42, 1, null, true]);
    assert.deepEqual(client.unacknowledged, { ordered: 2, large: 1 });
    edge.send(fake.received({ ordered: 2, large: 1 }));
    await until(() => client.unacknowledged.ordered + client.unacknowledged.large === 0);
  });

  test(`${way}: after a loss the session goes on, with what was missing on both sides`, { timeout: 5_000 }, async (t) => {
    const { edge, client, login } = await seated(t, { way });
    const heard = [];
    const events = [];
    client.on("ordered", ({ payload }) => heard.push(text(payload)));
    for (const name of ["disconnected", "resumed", "restarted", "island", "members", "wayChanged"]) client.on(name, () => events.push(name));
    edge.sendOrdered(ordered(1, "one"));
    for (const line of ["a", "b"]) client.sendOrdered(bytes(line));
    await until(() => heard.length === 1 && edge.ordered.length === 2);
    edge.ordered.length = 0;
    login.resumed = { ordered: 1 };
    const lost = next(client, "disconnected");
    edge.lose();
    assert.deepEqual([(await lost).code, client.way], [null, null]);
    assert.equal(client.island.tag, 42, "the seat stays");
    client.sendOrdered(bytes("c"));
    client.sendUpdate(bytes(""));
    assert.equal(client.stats.droppedUnsent, 1);
    assert.deepEqual(await next(client, "resumed"), { way });
    assert.match(login.last, /t1/);
    edge.sendOrdered(ordered(1, "one"));
    edge.sendOrdered(ordered(2, "two"));
    await until(() => edge.ordered.length === 2 && heard.length === 2);
    assert.deepEqual(edge.ordered.map(({ number, payload }) => [number, text(payload)]), [[2, "b"], [3, "c"]]);
    assert.deepEqual(heard, ["one", "two"]);
    assert.equal(client.stats.repeated, 1);
    assert.deepEqual(events, ["disconnected", "resumed"]);
    assert.deepEqual(login.forms, ["fetch", "t1"]);
  });
}

test("an edge that stops a large stream once it has the message costs no connection", { timeout: 5_000 }, async (t) => {
  const { edge, client } = await seated(t, { stopsLarge: true });
  // More than may be under way at once: those that were stopped make room for the others.
  for (let fill = 1; fill <= 6; fill++) client.sendLarge(new Uint8Array(70_000).fill(fill));
  await until(() => edge.large.length === 6);
  assert.deepEqual(edge.large.map(({ header, payload }) => [header.number, payload.at(-1)]), [1, 2, 3, 4, 5, 6].map((n) => [n, n]));
  assert.equal(edge.connections.length, 1);
  edge.send(fake.received({ ordered: 0, large: 6 }));
  await until(() => client.unacknowledged.large === 0);
  assert.equal(client.stats.connections, 1);
});

test("who came and went during a loss is one change of members", { timeout: 5_000 }, async (t) => {
  const { edge, client } = await seated(t);
  edge.lose();
  await next(client, "resumed");
  const change = next(client, "members");
  edge.send(fake.islandChanged({ ...ROOM, members: [ROOM.members[0], { alias: 3, name: "0xnew" }] }));
  const { joined, left } = await change;
  assert.deepEqual([joined, left], [[{ alias: 3, name: "0xnew" }], [OTHER]]);
});

test("a resume keeps what the island was announced with, which is told once", { timeout: 5_000 }, async (t) => {
  const { edge, client } = await seated(t);
  const announce = (news) => edge.send(fake.islandChanged({ ...ROOM, ...news }));
  announce({ fromId: "I0", peers: [{ address: "0xother", x: 8, y: 0, z: -3 }] });
  const positions = new Map([["0xother", { x: 8, y: 0, z: -3 }]]);
  await until(() => client.island.fromId === "I0");
  assert.deepEqual(client.island.positions, positions);
  edge.lose();
  await next(client, "resumed");
  // Without either, as after any resume.
  const told = next(client, "members");
  announce({ members: [...ROOM.members, { alias: 3, name: "0xnew" }] });
  await told;
  const { id, fromId, tag, members } = client.island;
  assert.deepEqual([id, fromId, tag, members.length], ["I1", "I0", 42, 3]);
  assert.deepEqual(client.island.positions, positions);

  announce({ peers: [{ address: "0xother", x: 9, y: 0, z: 0 }] });
  await until(() => client.island.members.length === 2);
  assert.deepEqual(client.island.positions, new Map([["0xother", { x: 9, y: 0, z: 0 }]]), "newer news go first");
  announce({ tag: 44 });
  await until(() => client.island.tag === 44);
  assert.deepEqual([client.island.fromId, client.island.positions], [null, new Map()], "another seat knows nothing of the former");
});

test("a session that is over begins anew on the same connection, and says what may be lost", { timeout: 5_000 }, async (t) => {
  const { edge, client, login } = await seated(t);
  client.sendOrdered(bytes("a"));
  login.resumed = null;
  edge.lose();
  const island = next(client, "island");
  assert.deepEqual(await next(client, "restarted"), { way: "webtransport", unacknowledged: { ordered: 1, large: 0 } });
  await island;
  assert.deepEqual(login.forms, ["fetch", "t1", "fetch"]);
  assert.equal(edge.connections.length, 2);
  edge.ordered.length = 0;
  client.sendOrdered(bytes("b"));
  await until(() => edge.ordered.length === 1);
  assert.equal(edge.ordered[0].number, 1);
});

test("gaps are told, once", { timeout: 5_000 }, async (t) => {
  const { edge, client } = await seated(t);
  const gaps = [];
  client.on("gap", (gap) => gaps.push(gap));
  edge.sendOrdered({ case: "gap", first: 1, last: 3 });
  edge.sendOrdered({ case: "gap", first: 2, last: 4 });
  edge.sendLarge({ case: "gap", first: 1, last: 1 });
  await until(() => gaps.length === 3);
  assert.deepEqual(gaps, [
    { lane: "ordered", first: 1, last: 3 },
    { lane: "ordered", first: 4, last: 4 },
    { lane: "large", first: 1, last: 1 },
  ]);
});

test("numbers that skip some, and acknowledgements of nothing, end the session with 4006", { timeout: 5_000 }, async (t) => {
  for (const misbehave of [
    (edge) => edge.sendOrdered(ordered(2, "two")),
    (edge) => edge.sendLarge(large(18, 0)),
    (edge) => edge.send(fake.received({ ordered: 1 })),
    (edge) => edge.sendLarge(large(1, 1_048_577)),
  ]) {
    const { edge, client } = await seated(t);
    misbehave(edge);
    const { code, retry } = await client.closed;
    assert.deepEqual([code, retry, edge.closedByClient.closeCode], [4006, "do not retry", 4006], String(misbehave));
  }
});

test("what a lane does not take is a typed error, and nothing is dropped for it", { timeout: 5_000 }, async (t) => {
  const { edge, client } = await seated(t);
  assert.throws(() => client.sendOrdered(new Uint8Array(65_537)), kind("payload_too_large"));
  assert.throws(() => client.sendLarge(new Uint8Array(1_048_577)), kind("payload_too_large"));
  assert.throws(() => client.sendVoice(new Uint8Array(1_101)), kind("payload_too_large"));
  for (let count = 0; count < 4; count++) client.sendOrdered(new Uint8Array(65_536));
  assert.throws(() => client.sendOrdered(Uint8Array.of(1)), kind("full"));
  await until(() => edge.ordered.length === 4);
  edge.send(fake.received({ ordered: 1 }));
  await until(() => client.unacknowledged.ordered === 3);
  client.sendOrdered(Uint8Array.of(1));
  client.close();
  assert.throws(() => client.sendOrdered(Uint8Array.of(1)), kind("closed"));
});

test("voice is an event of its own; draining is told", { timeout: 5_000 }, async (t) => {
  const { edge, client } = await seated(t);
  const [voice, draining] = [next(client, "voice"), next(client, "draining")];
  edge.sendDatagram(fake.unhex("0000002a0202000901aa"));
  edge.send(fake.draining(700));
  const { address, payload } = await voice;
  assert.deepEqual([address, fake.hex(payload), (await draining).closeInMs], ["0xother", "aa", 700]);
  client.sendVoice(Uint8Array.of(1));
  await until(() => edge.datagrams.some((datagram) => datagram[0] === 2));
});

test("without UDP the WebSocket is there after the patience, and one login is made", { timeout: 5_000 }, async (t) => {
  const before = performance.now();
  const { edge, login } = await seated(t, { way: "websocket", isReachable: (way) => way === "websocket", client: { fallbackAfterMs: 60 } });
  assert.ok(performance.now() - before < 1_000);
  assert.deepEqual(edge.connections.map(({ way }) => way), ["websocket"]);
  assert.deepEqual([edge.connections[0].url, edge.connections[0].protocols, login.forms], [ENDPOINT.websocket, ["atoll.1"], ["fetch"]]);

  const made = edgeWithSessions({ isReachable: (way) => way === "websocket" });
  const start = performance.now();
  const doors = { webTransport: made.webTransport, webSocket: made.webSocket };
  const client = await connect(ENDPOINT, { address: "0xMe", sign, ...doors, fallbackAfterMs: 60 });
  const took = performance.now() - start;
  t.after(() => client.close());
  assert.ok(took >= 55 && took < 1_000, `${took} ms`);
  assert.equal(client.way, "websocket");
  assert.deepEqual(made.edge.connections.map(({ way }) => way), WAYS);
  assert.ok(made.edge.closedByClient, "the other attempt was given up");
});

test("a client on the WebSocket moves to WebTransport when that works, seat and messages with it", { timeout: 5_000 }, async (t) => {
  let udp = false;
  const isReachable = (way) => way === "websocket" || udp;
  const made = edgeWithSessions({ isReachable });
  const { edge, login } = made;
  const client = await connect(ENDPOINT, {
    address: "0xMe", sign, webTransport: made.webTransport, webSocket: made.webSocket, fallbackAfterMs: 20, upgradeAfterMs: 40, timeoutMs: 200,
  });
  t.after(() => client.close());
  await next(client, "island");
  const events = [];
  for (const name of ["disconnected", "resumed", "restarted", "island", "closed"]) client.on(name, () => events.push(name));
  const socket = edge.newest;
  client.sendOrdered(bytes("a"));
  await until(() => edge.connections.length >= 4, 4_000);
  assert.equal(client.way, "websocket", "attempts that come to nothing harm nothing");
  udp = true;
  assert.deepEqual(await next(client, "wayChanged"), { from: "websocket", to: "webtransport" });
  socket.end(4013, "resumed");
  await until(() => edge.ordered.length === 2);
  assert.deepEqual(edge.ordered.map(({ number }) => number), [1, 1], "what was not acknowledged is said again");
  assert.deepEqual(events, ["resumed"]);
  assert.deepEqual(login.forms, ["fetch", "t1"]);
});

test("a signed request that is refused is followed by a challenge on a new connection", { timeout: 5_000 }, async (t) => {
  const { edge, login } = await seated(t, { refuse: (form) => form === "fetch" });
  assert.deepEqual(login.forms, ["fetch", "challenge"]);
  assert.equal(edge.connections.length, 2);
  assert.match(login.last, /dcl-test-00/);
  const { webTransport } = edgeWithSessions({ refuse: () => true });
  const attempt = connect(ENDPOINT, { address: "0xMe", sign: async (signed) => signed, webTransport, webSocket: null });
  await assert.rejects(attempt, (error) => error instanceof ConnectError && error.closed.code === 4009);
});

test("a signed request is for this edge, in lower case, with its metadata as it was", { timeout: 5_000 }, async (t) => {
  const { login } = await seated(t);
  assert.match(login.last, /connect:\/atoll:\d+:\{\\"server\\":\\"edge-1\\"\}/);
  assert.match(login.last, /\{"server":"Edge-1"\}/);
});

test("the advice of a close code is followed", { timeout: 5_000 }, async (t) => {
  for (const [code, form] of [[4010, "t1"], [4000, "fetch"], [4011, "fetch"]]) {
    const { edge, client, login } = await seated(t);
    edge.close(code, "");
    await next(client, form === "fetch" ? "restarted" : "resumed");
    assert.deepEqual(login.forms, ["fetch", form], String(code));
  }
  for (const code of [4002, 4006, 4013]) {
    const { edge, client } = await seated(t);
    edge.close(code, "");
    assert.equal((await client.closed).code, code);
    assert.equal(edge.connections.length, 1);
  }
});

test("a closed client stays closed, also in the middle of a reconnect", { timeout: 5_000 }, async (t) => {
  let reachable = true;
  const { edge, client } = await seated(t, { isReachable: () => reachable, client: { timeoutMs: 50 } });
  reachable = false;
  edge.lose();
  await next(client, "disconnected");
  client.close("enough");
  assert.equal((await client.closed).code, 0);
  reachable = true;
  const count = edge.connections.length;
  await new Promise((resolve) => setTimeout(resolve, 150));
  assert.ok(edge.connections.length <= count + 1 && edge.messages.length === 1);
});
