// What Atoll says on a real NATS, and what it hears there, in every spelling that docs/nats.md lists: read and written by the
// codecs of others.
import assert from "node:assert/strict";
import { createRequire } from "node:module";
import { after, before, test } from "node:test";
import { KERNEL_2022, keepStanding, listen, logIn, newIdentity, until } from "./kernel.mjs";
import { eavesdrop, join, startNats } from "./nats_server.mjs";
import { SUMMER_2022, WORKERS } from "./original_archipelago.mjs";
import { startRegion } from "./setup.mjs";

const require = createRequire(import.meta.url);
const protobuf = require("protobufjs/minimal");
const doubles = require("protocol-2022/out-js/decentraland/kernel/comms/v3/archipelago.gen.js");
const floats = require("@dcl/protocol/out-js/decentraland/kernel/comms/v3/archipelago.gen.js");

const SCENE = new Uint8Array([1, 2, 3]);
const bytes = (data) => Uint8Array.from(data);

let nats;
let region;
let bus;
before(async () => {
  nats = await startNats();
  region = await startRegion(nats, "nats", { ATOLL_ARCHIPELAGO__FLUSH_INTERVAL: "0.25" });
  bus = await join(nats, "another service");
});
after(async () => {
  await bus?.close();
  await region?.stop();
  await nats?.stop();
});

async function enter(t) {
  const peer = await logIn(region, KERNEL_2022, await newIdentity());
  t.after(() => peer.socket.close());
  return peer;
}

test("everything is said in every spelling, the copies with a header", async (t) => {
  const ear = await eavesdrop(t, nats, ">");
  const place = { x: 16.5, y: 1, z: -16.25 };
  const peer = await enter(t);
  await keepStanding(t, peer, place.x, place.y, place.z);
  await peer.comms.publishToTopic({ topic: "scene.1", payload: SCENE });
  const { address } = peer;
  const marksOf = ({ headers }) => ({
    isCopy: headers?.get("Atoll-Mirror") === "1",
    isAtolls: headers?.get("Atoll-Archipelago") === "1",
  });
  const said = (subject, isIt = () => true) =>
    ear.first((message) => message.subject === subject && isIt(message.data), subject);
  const expect = async (subject, { isCopy = false, isAtolls = false }, read, value) => {
    const message = await said(subject);
    assert.deepEqual(marksOf(message), { isCopy, isAtolls }, subject);
    if (read) assert.deepEqual(read(message.data), value, subject);
  };

  await expect(`peer.${address}.connect`, {}, (data) => data.length, 0);
  await expect(`client-proto.peer.${address}.heartbeat`, {}, SUMMER_2022.positionOf, place);
  await expect(`peer.${address}.heartbeat`, { isCopy: true }, WORKERS.positionOf, place);
  await expect(`client-proto.peer.${address}.scene.1`, {}, bytes, SCENE);
  await expect(`client.peer.${address}.scene.1`, { isCopy: true }, bytes, SCENE);

  const change = (codec) => (data) => codec.IslandChangedMessage.decode(data).peers;
  const peers = { [address]: place };
  await expect(`client-proto.${address}.island_changed`, { isAtolls: true }, change(doubles), peers);
  await expect(`client-proto.peer.${address}.island_changed`, { isCopy: true, isAtolls: true }, change(doubles), peers);
  await expect(`engine.peer.${address}.island_changed`, { isCopy: true, isAtolls: true }, change(floats), peers);
  const changed = doubles.IslandChangedMessage.decode((await said(`client-proto.${address}.island_changed`)).data);
  await expect(`client-proto.island.${changed.islandId}.peer_join`, { isAtolls: true });

  bus.publish("atoll.archipelago.ask");
  for (const [subject, codec, isCopy] of [["archipelago.islands", doubles, false], ["engine.islands", floats, true]]) {
    // Behind those of earlier times.
    const isOne = (data) => codec.IslandStatusMessage.decode(data).data.length === 1;
    const message = await said(subject, isOne);
    const [{ id, peers, center }] = codec.IslandStatusMessage.decode(message.data).data;
    assert.deepEqual({ id, peers, center }, { id: changed.islandId, peers: [address], center: { ...place, y: 0 } }, subject);
    assert.deepEqual(marksOf(message), { isCopy, isAtolls: true }, subject);
  }

  const serverName = (data) => JSON.parse(new TextDecoder().decode(data)).serverName;
  await expect("service.discovery", { isAtolls: true }, serverName, "archipelago");
  const firstField = (data) => {
    const reader = protobuf.Reader.create(data);
    return [reader.uint32() >>> 3, reader.string()];
  };
  await expect("engine.discovery", { isCopy: true, isAtolls: true }, firstField, [1, "archipelago"]);

  peer.socket.close();
  await expect(`peer.${address}.disconnect`, {}, (data) => data.length, 0);
  const misspelt = ear.messages.filter(({ subject }) => subject.endsWith(".hearbeat"));
  assert.deepEqual(misspelt, [], "off by default");
});

test("heartbeats are heard in every spelling, in doubles and in floats", async (t) => {
  const peer = await enter(t);
  await keepStanding(t, peer, 5000, 0, 5000);
  const position = { x: 5000.5, y: 0, z: 5000 };
  const inDoubles = doubles.IslandData.encode({ id: "", peers: [], maxPeers: 0, center: position, radius: 0 }).finish();
  const inFloats = floats.Heartbeat.encode({ position }).finish();
  // An island's centre is its field 4; a heartbeat's position is its field 1.
  const heartbeats = { doubles: Uint8Array.from([0x0a, ...inDoubles.slice(1)]), floats: inFloats };
  const spellings = [
    (id) => `client-proto.peer.${id}.heartbeat`,
    (id) => `client-proto.peer.${id}.hearbeat`,
    (id) => `peer.${id}.heartbeat`,
  ];
  const strangers = [];
  for (const spelling of spellings) {
    for (const payload of Object.values(heartbeats)) {
      const { address } = await newIdentity();
      strangers.push(address);
      bus.publish(spelling(address), payload);
    }
  }
  const listed = async () => (await (await fetch(`${region.http}/islands`)).json()).islands;
  const isTogether = ({ peers }) => [peer.address, ...strangers].every((id) => peers.some(({ address }) => address === id));
  await until(async () => (await listed()).some(isTogether), "some were not heard");
});

test("island changes and topics are heard in every spelling, and what comes twice acts once", async (t) => {
  const peer = await enter(t);
  const { address } = peer;
  const changes = await listen(peer, "System", `${address}.island_changed`);
  const topics = await listen(peer, "Peer", "news");
  const change = (codec, islandId, connStr) => {
    const message = { islandId, connStr, peers: { [address]: { x: 1.5, y: 0, z: -1 } } };
    return codec.IslandChangedMessage.encode(message).finish();
  };
  const told = [];
  for (const [index, [subject, codec]] of [
    [`client-proto.${address}.island_changed`, doubles],
    [`client-proto.peer.${address}.island_changed`, doubles],
    [`engine.peer.${address}.island_changed`, floats],
  ].entries()) {
    const [islandId, connStr] = [`X${index}`, `ws-room:ws://rooms.example/${index}?access_token=1`];
    told.push({ islandId, connStr, fromIslandId: undefined, peers: { [address]: { x: 1.5, y: 0, z: -1 } } });
    bus.publish(subject, change(codec, islandId, connStr));
    // The same again, as a service says it that knows two spellings.
    bus.publish(`client-proto.${address}.island_changed`, change(doubles, islandId, connStr));
    bus.publish(`engine.peer.${address}.island_changed`, change(floats, islandId, connStr));
    await changes.first((message) => KERNEL_2022.archipelago.IslandChangedMessage.decode(message.payload).islandId === islandId);
  }
  const { address: stranger } = await newIdentity();
  bus.publish(`client.peer.${stranger}.news`, SCENE);
  bus.publish(`client-proto.peer.${stranger}.news`, SCENE);
  await until(() => topics.messages.length === 2, "news did not come");
  assert.ok(topics.messages.every(({ sender, payload }) => sender === stranger && payload.length === SCENE.length));
  const heard = changes.messages.map(({ payload }) => KERNEL_2022.archipelago.IslandChangedMessage.decode(payload));
  assert.deepEqual(heard, told);
});
