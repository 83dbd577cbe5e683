// Each half of a region with the original of the other, and both halves of Atoll, in one process and in two: kernels meet and
// part over a real NATS, which may be lost on the way.
import assert from "node:assert/strict";
import { createHmac } from "node:crypto";
import { test } from "node:test";
import { Explorer } from "./explorer.mjs";
import { KERNEL_2022, KERNEL_2023, KERNEL_BFF_2022, keepStanding, listen, logIn, newIdentity, until } from "./kernel.mjs";
import { eavesdrop, startNats } from "./nats_server.mjs";
import { SUMMER_2022, WINTER_2022, WORKERS, startOriginalArchipelago } from "./original_archipelago.mjs";
import { startOriginalBff } from "./original_bff.mjs";
import { ROOM_SECRET, about, startAtoll, startRegion } from "./setup.mjs";

const OFTEN = { ATOLL_ARCHIPELAGO__FLUSH_INTERVAL: "0.25" };
const OFFLINE = () => "offline:offline";
const livekit = (island, peer) => `livekit:wss://livekit.example?access_token=${island}.${peer}`;
// The token is looked at where one is taken.
const ownRoom = (island) => new RegExp(`^ws-room:ws://127\\.0\\.0\\.1:\\d+/(ws-)?rooms/${island}\\?access_token=[\\w.-]+$`);
const wsRoom = (island, peer) => `ws-room:ws://rooms.example:5000/ws-rooms/${island}?access_token=${peer}`;

const fits = (text, wanted) => (typeof wanted === "string" ? text === wanted : wanted.test(text));

const RUNNING = new WeakMap();

/** What runs for the length of a test. What was started last is stopped first. */
async function running(t, starting) {
  const started = await starting;
  const stops = RUNNING.get(t) ?? [];
  if (stops.length === 0) {
    RUNNING.set(t, stops);
    t.after(async () => {
      for (const stop of stops) await stop();
    });
  }
  stops.unshift(started.stop);
  return started;
}

/** Logs in for the length of a test, and hears of islands from then on. */
async function enter(t, realm, kernel, identity = undefined) {
  const peer = await logIn(realm, kernel, identity ?? (await newIdentity()));
  t.after(() => peer.socket.close());
  const { messages } = await listen(peer, "System", `${peer.address}.island_changed`);
  const decode = ({ payload }) => kernel.archipelago.IslandChangedMessage.decode(payload);
  let taken = 0;
  return Object.assign(peer, {
    /** The island it was told last. */
    island: () => messages.length > 0 && decode(messages.at(-1)),
    /** The next island change that `wanted` takes, beyond those that were taken. */
    async changed(wanted = () => true) {
      let found = -1;
      const isThere = () => (found = messages.findIndex((message, index) => index >= taken && wanted(decode(message)))) >= 0;
      await until(isThere, "no island change");
      taken = found + 1;
      return decode(messages[found]);
    },
  });
}

/** Two kernels meet, part, meet again, and one of them leaves. */
async function walk(t, nats, realm, connectionString) {
  const ear = await eavesdrop(t, nats, "client-proto.>");
  const [one, other] = [await enter(t, realm, KERNEL_2022), await enter(t, realm, KERNEL_BFF_2022)];
  const { JoinIslandMessage, LeftIslandMessage } = KERNEL_2022.archipelago;

  const [here, near, far] = [{ x: 1000.5, y: 1.5, z: -2000.25 }, { x: 1010, y: 0, z: -2000 }, { x: 1500, y: 0, z: -2000 }];
  await keepStanding(t, one, here.x, here.y, here.z);
  const { islandId, connStr, fromIslandId, peers } = await one.changed();
  assert.ok(fits(connStr, connectionString(islandId, one.address)), connStr);
  assert.equal(fromIslandId, undefined);
  assert.deepEqual(peers, { [one.address]: here });

  const joined = await listen(one, "System", `island.${islandId}.peer_join`);
  const left = await listen(one, "System", `island.${islandId}.peer_left`);
  const move = await keepStanding(t, other, near.x, near.y, near.z);
  const met = await other.changed((change) => change.islandId === islandId);
  assert.ok(fits(met.connStr, connectionString(islandId, other.address)), met.connStr);
  assert.deepEqual(met.peers, { [one.address]: here, [other.address]: near });
  // Its own, too, when it subscribed in time.
  const isOthers = ({ payload }) => JoinIslandMessage.decode(payload).peerId === other.address;
  const join = await joined.first(isOthers);
  assert.deepEqual(JoinIslandMessage.decode(join.payload), { islandId, peerId: other.address });

  await move(far.x, far.y, far.z);
  const parted = await other.changed((change) => change.islandId !== islandId);
  assert.equal(parted.fromIslandId, islandId);
  assert.ok(fits(parted.connStr, connectionString(parted.islandId, other.address)), parted.connStr);
  assert.deepEqual(parted.peers, { [other.address]: far });

  await move(near.x, near.y, near.z);
  const again = await other.changed((change) => change.islandId === islandId);
  assert.equal(again.fromIslandId, parted.islandId);
  await joined.first((message) => message !== join && isOthers(message));

  // Nobody hears that a peer left who moved: only of an end.
  assert.deepEqual(left.messages, []);
  other.socket.close();
  assert.deepEqual(LeftIslandMessage.decode((await left.first()).payload), { islandId, peerId: other.address });

  // In one process kernels may hear it earlier than the cluster.
  await ear.first(({ subject }) => subject === `client-proto.island.${islandId}.peer_left`, "peer_left");
  const told = ear.messages.filter(({ subject }) => /^client-proto\.(0x\w+\.island_changed|island\..*)$/.test(subject));
  const names = told.map(({ subject, data }) => {
    const [, first, second, third] = subject.split(".");
    if (first !== "island") return `${first} is moved`;
    return `${JoinIslandMessage.decode(data).peerId} is told to ${second} by ${third}`;
  });
  const moves = (peer, island) => [`${peer} is moved`, `${peer} is told to ${island} by peer_join`];
  assert.deepEqual(names, [
    ...moves(one.address, islandId),
    ...moves(other.address, islandId),
    ...moves(other.address, parted.islandId),
    ...moves(other.address, islandId),
    `${other.address} is told to ${islandId} by peer_left`,
  ]);
}

test("the original halves work with each other, as those here do", async (t) => {
  const nats = await running(t, startNats());
  const bff = await running(t, startOriginalBff(nats));
  await running(t, startOriginalArchipelago(nats, WINTER_2022, { connectionString: livekit, commitHash: "deadbeef" }));
  await walk(t, nats, bff, livekit);
});

test("kernels at an original BFF meet and part by Atoll's archipelago", async (t) => {
  const nats = await running(t, startNats());
  const bff = await running(t, startOriginalBff(nats));
  await running(t, startAtoll(nats, "archipelago", OFTEN));
  await walk(t, nats, bff, OFFLINE);
  const healthy = async () => (await about(bff)).comms.healthy;
  await until(healthy, "archipelago is not discovered");
});

test("kernels at an original BFF are sent by Atoll's archipelago to the rooms that it is told of", async (t) => {
  const nats = await running(t, startNats());
  const bff = await running(t, startOriginalBff(nats));
  await running(t, startAtoll(nats, "archipelago", { ...OFTEN, ATOLL_WS_ROOM__URL: "https://rooms.example" }));
  const tokens = new Map();
  await walk(t, nats, bff, (island, peer) => {
    const wanted = new RegExp(`^ws-room:wss://rooms\\.example/rooms/${island}\\?access_token=([\\w.-]+)$`);
    return { test: (text) => wanted.test(text) && tokens.set(wanted.exec(text)[1], { island, peer }) };
  });
  assert.ok(tokens.size >= 3);
  for (const [token, { island, peer }] of tokens) {
    const { peerId, aud, sid, iat, exp } = verified(token);
    assert.deepEqual({ peerId, aud, sid }, { peerId: peer, aud: `wss://rooms.example/rooms/${island}`, sid: undefined });
    assert.equal(exp, iat + 300);
  }
});

/** The claims of a token, which has to be signed with the secret that archipelago was given. */
function verified(token) {
  const [header, claims, signature] = token.split(".");
  assert.equal(createHmac("sha256", ROOM_SECRET).update(`${header}.${claims}`).digest("base64url"), signature);
  return JSON.parse(Buffer.from(claims, "base64url"));
}

test("a peer that logs in again at an original BFF hears of its island afresh", async (t) => {
  const nats = await running(t, startNats());
  const bff = await running(t, startOriginalBff(nats));
  await running(t, startAtoll(nats, "archipelago", OFTEN));
  const identity = await newIdentity();
  for (const kernel of [KERNEL_2022, KERNEL_BFF_2022]) {
    const peer = await enter(t, bff, kernel, identity);
    await keepStanding(t, peer, 10, 0, 10);
    const { fromIslandId, peers } = await peer.changed();
    assert.equal(fromIslandId, undefined);
    assert.deepEqual(Object.keys(peers), [identity.address]);
  }
});

const ARCHIPELAGOS = {
  "the summer of 2022": { age: SUMMER_2022, connectionString: wsRoom },
  // Its heartbeats have floats already.
  "the winter of 2022": {
    age: WINTER_2022,
    connectionString: livekit,
    environment: { ATOLL_NATS__CLIENT_PROTO_COORDINATES: "float" },
  },
  "the workers": { age: WORKERS, connectionString: livekit },
};

for (const [name, { age, connectionString, environment }] of Object.entries(ARCHIPELAGOS)) {
  test(`kernels at Atoll go by the islands of an archipelago of ${name}`, async (t) => {
    const nats = await running(t, startNats());
    const edge = await running(t, startAtoll(nats, "edge", environment));
    const { healthy, comms } = await about(edge);
    assert.deepEqual([healthy, comms.healthy, comms.commitHash, comms.usersCount], [false, false, undefined, undefined]);

    const archipelago = await running(t, startOriginalArchipelago(nats, age, { connectionString, commitHash: "deadbeef" }));
    await until(async () => (await about(edge)).comms.healthy, "archipelago is not discovered");
    assert.equal((await about(edge)).comms.commitHash, "deadbeef");

    const kernels = [];
    for (const kernel of [KERNEL_2022, KERNEL_BFF_2022, KERNEL_2023]) kernels.push(await enter(t, edge, kernel));
    const explorer = await explore(t, edge);
    const places = {};
    for (const [index, { address }] of [...kernels, explorer].entries()) places[address] = { x: 300.5 + index, y: 0, z: -40.25 };
    for (const peer of kernels) await keepStanding(t, peer, ...Object.values(places[peer.address]));
    explorer.keepStanding(t, places[explorer.address].x, places[explorer.address].z);

    await until(() => [...archipelago.islands].some(({ peers }) => peers.length === 4), "they did not meet");
    const [{ id }] = archipelago.islands;
    const stood = [...archipelago.peers].map(([address, { position: { x, y, z } }]) => [address, { x, y, z }]);
    assert.deepEqual(Object.fromEntries(stood), places);
    for (const peer of [...kernels, explorer]) {
      await until(() => peer.island().islandId === id, `${peer.address} is not told`);
      const { connStr, peers } = peer.island();
      assert.equal(connStr, connectionString(id, peer.address));
      assert.ok(peer.address in peers);
      // Those of 2023 read floats, and have doubles over the BFF.
      const place = (address) => (peer.kernel === KERNEL_2023 ? { x: 0, y: 0, z: 0 } : places[address]);
      for (const address of Object.keys(peers)) assert.deepEqual(peers[address], place(address));
    }
    if (age === WORKERS) {
      await until(async () => (await about(edge)).comms.usersCount === 4, "users are not counted");
    }

    kernels[0].socket.close();
    await until(() => !archipelago.peers.has(kernels[0].address), "its end was not told");
    // The workers tell nobody.
    if (age !== WORKERS) {
      assert.deepEqual(await explorer.first("leftIsland"), { islandId: id, peerId: kernels[0].address });
    }
    assert.deepEqual(archipelago.trouble, []);
  });
}

test("an edge keeps its kernels while the other half is exchanged, for an original and back", async (t) => {
  const nats = await running(t, startNats());
  const edge = await running(t, startAtoll(nats, "edge"));
  const atoll = await running(t, startAtoll(nats, "archipelago", OFTEN));
  const peers = [await enter(t, edge, KERNEL_2022), await enter(t, edge, KERNEL_BFF_2022)];
  for (const peer of peers) await keepStanding(t, peer, 0, 0, 0);
  const together = async (connectionString) => {
    const islands = () => new Set(peers.map((peer) => peer.island().islandId));
    const isFresh = (peer) => {
      const { islandId, connStr } = peer.island();
      return islandId && fits(connStr, connectionString(islandId, peer.address));
    };
    await until(() => islands().size === 1 && peers.every(isFresh), "they did not meet");
  };
  await together(ownRoom);
  await atoll.stop();
  const settings = { connectionString: wsRoom, commitHash: "deadbeef" };
  const original = await running(t, startOriginalArchipelago(nats, SUMMER_2022, settings));
  await together(wsRoom);
  await original.stop();
  await running(t, startAtoll(nats, "archipelago", OFTEN));
  await together(ownRoom);
  assert.ok(peers.every(({ socket }) => socket.readyState === socket.OPEN));
});

/** An explorer at archipelago's WebSocket that has logged in. */
async function explore(t, edge) {
  const [explorer, identity] = [await Explorer.open(t, edge), await newIdentity()];
  await explorer.logIn(identity);
  const changes = () => explorer.packets.filter(({ $case }) => $case === "islandChanged");
  return Object.assign(explorer, {
    address: identity.address,
    island: () => changes().length > 0 && changes().at(-1).islandChanged,
  });
}

for (const setup of ["nats", "apart"]) {
  const processes = setup === "nats" ? "one process" : "two processes";

  test(`kernels meet and part by both halves of Atoll in ${processes}`, async (t) => {
    const nats = await running(t, startNats());
    const region = await running(t, startRegion(nats, setup, OFTEN));
    await walk(t, nats, region, ownRoom);
  });

  test(`a NATS that is killed and comes back takes no session of Atoll in ${processes}`, async (t) => {
    const nats = await running(t, startNats());
    const region = await running(t, startRegion(nats, setup, OFTEN));
    const [one, other] = [await enter(t, region, KERNEL_2022), await enter(t, region, KERNEL_2023)];
    const explorer = await explore(t, region);
    const ends = [];
    for (const peer of [one, other, explorer]) peer.closed.then(() => ends.push("closed"));
    other.authentication.getDisconnectionMessage({}).then(() => ends.push("kicked"), () => {});
    await keepStanding(t, one, 0, 0, 0);
    const { islandId } = await one.changed();
    const move = await keepStanding(t, other, 10, 0, 0);
    await other.changed((change) => change.islandId === islandId);
    explorer.keepStanding(t, 5, 0);
    await until(() => explorer.island().islandId === islandId, "they did not meet");

    const state = async () => (await about(region)).comms.atoll.nats;
    assert.equal(await state(), "connected");
    await nats.kill();
    await until(async () => (await state()) === "lost", "nobody noticed");
    // Who has the other half elsewhere wants no newcomers.
    assert.equal((await fetch(`${region.http}/health/ready`)).status, setup === "nats" ? 200 : 503);
    // What needs one process only goes on.
    const heard = await listen(one, "Peer", "scene");
    assert.deepEqual(await other.comms.publishToTopic({ topic: "scene", payload: new Uint8Array([1]) }), { ok: true });
    assert.equal((await heard.first()).sender, other.address);
    assert.deepEqual(await move(1000, 0, 0), { ok: true });
    if (setup === "nats") await other.changed((change) => change.islandId !== islandId);

    await nats.start();
    await until(async () => (await state()) === "connected", "nobody came back");
    assert.equal((await fetch(`${region.http}/health/ready`)).status, 200);
    if (setup === "apart") await other.changed((change) => change.islandId !== islandId);
    await move(10, 0, 0);
    await other.changed((change) => change.islandId === islandId);
    const late = await enter(t, region, KERNEL_BFF_2022);
    await keepStanding(t, late, 0, 0, 10);
    const { peers } = await late.changed((change) => change.islandId === islandId);
    assert.deepEqual(Object.keys(peers).sort(), [one, other, explorer, late].map(({ address }) => address).sort());
    assert.deepEqual(ends, []);
  });
}
