// Explorers since April 2023: archipelago's own WebSocket.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { createRequire } from "node:module";
import { WebSocket } from "ws";
import { startEdge } from "../browser/edge.mjs";
import { newIdentity, within } from "./kernel.mjs";

const require = createRequire(import.meta.url);
const codec = require("@dcl/protocol/out-js/decentraland/kernel/comms/v3/archipelago.gen.js");
const { ClientPacket, ServerPacket } = codec;

let edge;
before(async () => (edge = await startEdge()));
after(() => edge.stop());

class Explorer {
  static async open(t, path = "/archipelago/ws") {
    const socket = new WebSocket(`${edge.http.replace("http", "ws")}${path}`, "archipelago");
    const explorer = new Explorer(socket);
    t.after(() => socket.close());
    await within(new Promise((resolve, reject) => socket.once("open", resolve).once("error", reject)), "not open");
    return explorer;
  }

  constructor(socket) {
    this.socket = socket;
    this.packets = [];
    this.wake = () => {};
    this.closed = new Promise((resolve) => socket.once("close", (code, reason) => resolve({ code, reason: `${reason}` })));
    socket.on("message", (bytes) => {
      this.packets.push(ServerPacket.decode(bytes).message);
      this.wake();
    });
    socket.on("error", () => {});
  }

  send($case, value) {
    this.socket.send(ClientPacket.encode({ message: { $case, [$case]: value } }).finish());
  }

  /** The first packet of this kind that `wanted` takes, now or later. */
  async first($case, wanted = () => true) {
    const search = async () => {
      for (;;) {
        const found = this.packets.find((packet) => packet.$case === $case && wanted(packet[$case]));
        if (found) return found[$case];
        await new Promise((resolve) => (this.wake = resolve));
      }
    };
    return within(search(), `no ${$case}`);
  }

  async logIn(identity) {
    this.send("challengeRequest", { address: identity.address });
    const challenge = await this.first("challengeResponse");
    const authChainJson = JSON.stringify(identity.sign(challenge.challengeToSign));
    this.send("signedChallenge", { authChainJson });
    const { peerId } = await this.first("welcome");
    assert.equal(peerId, identity.address);
    return challenge;
  }

  keepStanding(t, x, z) {
    const beat = () => this.send("heartbeat", { position: { x, y: 0, z } });
    beat();
    const timer = setInterval(beat, 500);
    t.after(() => clearInterval(timer));
  }
}

for (const path of ["/archipelago/ws", "/ws"]) {
  test(`login, heartbeat and island on ${path}, with floats`, async (t) => {
    const identity = await newIdentity();
    const one = await Explorer.open(t, path);
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
  const one = await Explorer.open(t);
  await one.logIn(early);
  one.keepStanding(t, 4000, 4000);
  const { islandId } = await one.first("islandChanged");
  const other = await Explorer.open(t);
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
  const [first, second] = [await Explorer.open(t), await Explorer.open(t)];
  await first.logIn(identity);
  const challenge = await second.logIn(identity);
  assert.equal(challenge.alreadyConnected, true);
  assert.deepEqual(await first.first("kicked"), { reason: 0 });
  await within(first.closed, "not closed");
  assert.equal(second.socket.readyState, second.socket.OPEN);
});

test("the signer has to be who asked for the challenge", async (t) => {
  const [victim, forger] = [await newIdentity(), await newIdentity()];
  const seated = await Explorer.open(t);
  await seated.logIn(forger);
  const one = await Explorer.open(t);
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
    const one = await Explorer.open(t);
    hostile(one);
    assert.equal((await within(one.closed, "not closed")).code, 1007);
  }
  const text = await Explorer.open(t);
  text.socket.send("hello");
  assert.equal((await within(text.closed, "not closed")).code, 1003);
});
