// What is said on NATS in one breath is acted on in its order, though it comes by several subjects.
import assert from "node:assert/strict";
import { createRequire } from "node:module";
import { test } from "node:test";
import { KERNEL_2022, keepStanding, logIn, newIdentity, until } from "./kernel.mjs";
import { eavesdrop, join, startNats } from "./nats_server.mjs";
import { SUMMER_2022, startOriginalArchipelago } from "./original_archipelago.mjs";
import { startAtoll } from "./setup.mjs";

const require = createRequire(import.meta.url);
const { Heartbeat } = require("@dcl/protocol/out-js/decentraland/kernel/comms/v3/archipelago.gen.js");

/** Stops what a test started, the last first. */
function stopsFor(t) {
  const stops = [];
  t.after(async () => {
    for (const stop of stops.reverse()) await stop();
  });
  return stops;
}

test("a session's end is not overtaken by its last heartbeat", async (t) => {
  const stops = stopsFor(t);
  const nats = await startNats();
  stops.push(nats.stop);
  const archipelago = await startAtoll(nats, "archipelago", { ATOLL_ARCHIPELAGO__FLUSH_INTERVAL: "0.25" });
  stops.push(archipelago.stop);
  const bus = await join(nats, "another BFF");
  stops.push(() => bus.close());

  const stand = (peer, x) => {
    const payload = Heartbeat.encode({ position: { x, y: 0, z: 0 } }).finish();
    bus.publish(`client-proto.peer.${peer}.heartbeat`, payload);
  };
  const crowd = Array.from({ length: 100 }, (_, index) => `0x${`${index}`.padStart(40, "0")}`);
  const leavers = Array.from({ length: 10 }, (_, index) => `0x${`${index}`.padStart(40, "1")}`);
  for (const leaver of leavers) {
    crowd.forEach(stand);
    stand(leaver, 0);
    bus.publish(`peer.${leaver}.disconnect`);
    await bus.flush();
  }
  const present = async () => {
    const { islands } = await (await fetch(`${archipelago.http}/islands`)).json();
    return islands.flatMap(({ peers }) => peers.map(({ address }) => address));
  };
  // Far within the minute after which who is silent is missed.
  const haveLeft = async () => {
    const there = new Set(await present());
    return crowd.every((peer) => there.has(peer)) && !leavers.some((peer) => there.has(peer));
  };
  await until(haveLeft, "some are still there");
});

test("what tells of all islands does not overtake the changes that led there", async (t) => {
  const stops = stopsFor(t);
  const nats = await startNats();
  stops.push(nats.stop);
  const edge = await startAtoll(nats, "edge");
  stops.push(edge.stop);
  const settings = { connectionString: () => "ws-room:ws://rooms.example/I?access_token=1", commitHash: "deadbeef" };
  const archipelago = await startOriginalArchipelago(nats, SUMMER_2022, settings);
  stops.push(archipelago.stop);
  const ear = await eavesdrop(t, nats, "peer.*.connect", "archipelago.islands");

  const peers = [];
  for (let index = 0; index < 24; index++) peers.push(await logIn(edge, KERNEL_2022, await newIdentity()));
  const moves = await Promise.all(peers.map((peer, index) => keepStanding(t, peer, index < 12 ? 0 : 1000, 0, index)));
  const told = () => ear.messages.filter(({ subject }) => subject === "archipelago.islands").length;
  const islands = async (count) => {
    const isSized = (island) => island.peers.length === peers.length / count;
    await until(() => archipelago.islands.size === count && [...archipelago.islands].every(isSized), `not ${count} islands`);
    // Twice: what is told of them has been heard, and acted on, before it is told again.
    const before = told();
    await until(() => told() >= before + 2, "not told");
  };
  await islands(2);
  for (const x of [0, 1000, 0]) {
    await Promise.all(moves.slice(12).map((move, index) => move(x, 0, 12 + index)));
    await islands(x === 0 ? 1 : 2);
  }
  peers.forEach(({ socket }) => socket.close());
  // Each was announced at its login, and not again.
  const connects = ear.messages.filter(({ subject }) => subject.endsWith(".connect"));
  assert.equal(connects.length, peers.length);
});
