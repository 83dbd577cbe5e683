// Explorers since April 2023: archipelago's own WebSocket.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { Explorer } from "./explorer.mjs";
import { newIdentity, within } from "./kernel.mjs";
import { startEdge } from "./setup.mjs";

let edge;
before(async () => (edge = await startEdge()));
after(() => edge.stop());

for (const path of ["/archipelago/ws", "/ws"]) {
  test(`login, heartbeat and island on ${path}, with floats`, async (t) => {
    const identity = await newIdentity();
    const one = await Explorer.open(t, edge, path);
    assert.equal(one.socket.protocol, "archipelago");
    const challenge = await one.logIn(identity);
    assert.match(challenge.challengeToSign, /^dcl-[^:]*$/);
    assert.equal(challenge.alreadyConnected, false);
    one.keepStanding(t, 100.5, -7000);
    const island = await one.first("islandChanged");
    assert.match(island.connStr, /^ws-room:ws:/);
    assert.deepEqual(island.peers, { [identity.address]: { x: 100.5, y: 0, z: -7000 } });
  });
}

test("who is in the island hears who comes and who leaves", async (t) => {
  const [early, late] = [await newIdentity(), await newIdentity()];
  const one = await Explorer.open(t, edge);
  await one.logIn(early);
  one.keepStanding(t, 4000, 4000);
  const { islandId } = await one.first("islandChanged");
  const other = await Explorer.open(t, edge);
  await other.logIn(late);
  other.keepStanding(t, 4001, 4000);
  const same = await other.first("islandChanged", (island) => Object.keys(island.peers).length === 2);
  assert.equal(same.islandId, islandId);
  assert.deepEqual(await one.first("joinIsland"), { islandId, peerId: late.address });
  assert.ok(!other.packets.some((packet) => packet.$case === "joinIsland" && packet.joinIsland.peerId === late.address));
  other.socket.close();
  assert.deepEqual(await one.first("leftIsland"), { islandId, peerId: late.address });
});

test("a second login kicks the first", async (t) => {
  const identity = await newIdentity();
  const [first, second] = [await Explorer.open(t, edge), await Explorer.open(t, edge)];
  await first.logIn(identity);
  const challenge = await second.logIn(identity);
  assert.equal(challenge.alreadyConnected, true);
  assert.deepEqual(await first.first("kicked"), { reason: 0 });
  await within(first.closed, "not closed");
  assert.equal(second.socket.readyState, second.socket.OPEN);
});

test("the signer has to be who asked for the challenge", async (t) => {
  const [victim, forger] = [await newIdentity(), await newIdentity()];
  const seated = await Explorer.open(t, edge);
  await seated.logIn(forger);
  const one = await Explorer.open(t, edge);
  one.send("challengeRequest", { address: victim.address });
  const { challengeToSign } = await one.first("challengeResponse");
  one.send("signedChallenge", { authChainJson: JSON.stringify(forger.sign(challengeToSign)) });
  assert.equal((await within(one.closed, "not closed")).code, 1008);
  // Nor was the signer's own session touched.
  assert.equal(seated.socket.readyState, seated.socket.OPEN);
  assert.ok(!seated.packets.some((packet) => packet.$case === "kicked"));
});

test("what is out of order or unreadable ends the connection", async (t) => {
  const cases = [
    (one) => one.send("heartbeat", { position: { x: 0, y: 0, z: 0 } }),
    (one) => one.send("challengeRequest", { address: "nobody" }),
    (one) => one.socket.send(new Uint8Array([0x0a])),
  ];
  for (const hostile of cases) {
    const one = await Explorer.open(t, edge);
    hostile(one);
    assert.equal((await within(one.closed, "not closed")).code, 1007);
  }
  const text = await Explorer.open(t, edge);
  text.socket.send("hello");
  assert.equal((await within(text.closed, "not closed")).code, 1003);
});
