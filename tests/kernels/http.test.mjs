// What explorers ask over HTTP with their own packages, and what follows for kernels in a realm with one room.
import assert from "node:assert/strict";
import { createRequire } from "node:module";
import { after, before, test } from "node:test";
import { KERNEL_2022, KERNEL_2023, keepStanding, listen, logIn, newIdentity, within } from "./kernel.mjs";
import { startEdge } from "./setup.mjs";
import { HANDSHAKE, signedFetch } from "./signed_fetch.mjs";

const require = createRequire(import.meta.url);
const { AboutResponse } = require("@dcl/protocol/out-js/decentraland/realm/about.gen.js");

const ROOM = "ws-room:wss://rooms.example.org/rooms/one";

let edge;
before(async () => (edge = await startEdge({ ATOLL_COMMS__FIXED_ADAPTER: ROOM, ATOLL_ETHEREUM__NETWORK: "mainnet" })));
after(() => edge.stop());

test("about is read by the protocol's own codec", async () => {
  const answer = await fetch(`${edge.http}/about`);
  assert.equal(answer.status, 200);
  const about = AboutResponse.fromJSON(await answer.json());
  assert.equal(about.healthy, true);
  assert.equal(about.acceptingUsers, true);
  assert.equal(about.configurations.networkId, 1);
  assert.equal(about.comms.protocol, "v3");
  assert.equal(about.comms.fixedAdapter, ROOM);
  assert.equal(about.bff.healthy, true);
  assert.equal(about.bff.publicUrl, "/");
});

test("an explorer's signed login is answered with the room", async () => {
  const identity = await newIdentity();
  const url = `${edge.http}/comms/signed-login`;
  const answer = await signedFetch(identity, url, HANDSHAKE);
  assert.equal(answer.status, 200);
  assert.deepEqual(await answer.json(), { fixedAdapter: ROOM });
  const scene = await signedFetch(identity, url, { ...HANDSHAKE, signer: "decentraland-kernel-scene" });
  assert.equal(scene.status, 403);
  assert.match((await scene.json()).message, /signer/);
});

test("in a realm with one room kernels hear of no island, which would take them out of it", async (t) => {
  const peers = [];
  for (const kernel of [KERNEL_2022, KERNEL_2023]) {
    const peer = await logIn(edge, kernel, await newIdentity());
    t.after(() => peer.socket.close());
    peers.push({ peer, own: await listen(peer, "System", `${peer.address}.island_changed`) });
  }
  const all = await listen(peers[0].peer, "System", "island.*.peer_join");
  for (const { peer } of peers) await keepStanding(t, peer, 700, 0, 700);
  // They stand in an island together, as the others on the bus can hear.
  await all.first();
  const islands = async () => (await (await fetch(`${edge.http}/islands`)).json()).islands;
  const together = async () => {
    while (!(await islands()).some((island) => island.peers.length === 2)) {
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
  };
  await within(together(), "not in one island");
  // What is sent now comes after what was.
  for (const { peer, own } of peers) {
    const echo = await listen(peer, "Peer", "echo");
    await peer.comms.publishToTopic({ topic: "echo", payload: new Uint8Array([1]) });
    await echo.first();
    assert.deepEqual(own.messages, []);
  }
});
