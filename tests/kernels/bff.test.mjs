// Unmodified kernels log in over the BFF, stand in islands, speak by topics, and find the doors shut that should be.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { KERNEL_2022, KERNEL_2023, KERNEL_BFF_2022, connect, keepStanding, listen, logIn, newIdentity, within } from "./kernel.mjs";
import { startEdge } from "./setup.mjs";

const GENERATIONS = { "autumn 2022": KERNEL_2022, "winter 2022": KERNEL_BFF_2022, 2023: KERNEL_2023 };

let edge;
before(async () => (edge = await startEdge()));
after(() => edge.stop());

/** Logs in for the length of a test. */
async function peer(t, kernel, identity, path) {
  const peer = await logIn(edge, kernel, identity ?? (await newIdentity()), path);
  t.after(() => peer.socket.close());
  return peer;
}

/** Stands somewhere and waits for the island. */
async function island(t, peer, x, z) {
  const changes = await listen(peer, "System", `${peer.address}.island_changed`);
  await keepStanding(t, peer, x, 1.5, z);
  const { payload } = await changes.first();
  return peer.kernel.archipelago.IslandChangedMessage.decode(payload);
}

for (const [name, kernel] of Object.entries(GENERATIONS)) {
  test(`a kernel of ${name} logs in, and hears its island in the coordinates it reads`, async (t) => {
    const path = kernel.subprotocol === "comms" ? "/rpc" : "/bff/rpc";
    const one = await peer(t, kernel, undefined, path);
    assert.equal(one.socket.protocol, kernel.subprotocol);
    assert.match(one.challenge.challengeToSign, /^dcl-0\.[0-9a-z]+$/);
    assert.equal(one.welcome.peerId, one.address);
    assert.deepEqual(one.welcome.availableModules, ["CommsService", "TopicsService"]);
    const changed = await island(t, one, 1000, 2000);
    assert.notEqual(changed.islandId, "");
    const room = kernel.subprotocol === "comms" ? "ws-rooms" : "rooms";
    assert.match(changed.connStr, new RegExp(`^ws-room:ws://[^/]+/${room}/${changed.islandId}\\?access_token=`));
    assert.deepEqual(Object.keys(changed.peers), [one.address]);
    // Over the BFF positions are doubles: kernels of 2023, whose own codec has floats, do not read them.
    const seen = kernel === KERNEL_2023 ? { x: 0, y: 0, z: 0 } : { x: 1000, y: 1.5, z: 2000 };
    assert.deepEqual(changed.peers[one.address], seen);
  });
}

test("kernels at one place are put into one island, whatever their age", async (t) => {
  const peers = await Promise.all(Object.values(GENERATIONS).map((kernel) => peer(t, kernel)));
  const changes = await Promise.all(peers.map((one) => listen(one, "System", `${one.address}.island_changed`)));
  await Promise.all(peers.map((one) => keepStanding(t, one, -3000, 0, -3000)));
  const decode = (one, { payload }) => one.kernel.archipelago.IslandChangedMessage.decode(payload);
  const islands = () =>
    peers.map((one, index) => {
      const last = changes[index].messages.at(-1);
      return last && decode(one, last).islandId;
    });
  // Whoever hears the last change sees that all are in one.
  const together = () => islands().every((id) => id && id === islands()[0]);
  await Promise.any(changes.map((change) => change.first(together)));
});

test("scene messages go by topics, by both services, and back to who sent them", async (t) => {
  const [one, other] = [await peer(t, KERNEL_2022), await peer(t, KERNEL_2023)];
  const topic = "scene.bafkre.1";
  const heard = await Promise.all([listen(one, "Peer", topic), listen(other, "Peer", topic)]);
  const stream = other.topics.peerSubscription({ topic });
  const first = stream[Symbol.asyncIterator]().next();
  // TopicsService subscribes when the first item is asked for: publish until it has come.
  const payload = new TextEncoder().encode("hello");
  let streamed;
  first.then(({ value }) => (streamed = value));
  for (let sent = 0; sent < 100 && !streamed; sent++) {
    assert.deepEqual(await one.comms.publishToTopic({ topic, payload }), { ok: true });
    await Promise.race([first, new Promise((resolve) => setTimeout(resolve, 100))]);
  }
  await within(first, "nothing streamed");
  for (const message of [streamed, await heard[0].first(), await heard[1].first()]) {
    assert.equal(message.sender, one.address);
    assert.equal(message.topic, topic);
    assert.equal(new TextDecoder().decode(message.payload), "hello");
  }
  await other.topics.publishToTopic({ topic, payload: new TextEncoder().encode("and back") });
  const answer = await heard[0].first((message) => message.sender === other.address);
  assert.equal(new TextDecoder().decode(answer.payload), "and back");
});

test("a message of a megabyte arrives whole", async (t) => {
  const [one, other] = [await peer(t, KERNEL_2022), await peer(t, KERNEL_2023)];
  const heard = await Promise.all([listen(one, "Peer", "large"), listen(other, "Peer", "large")]);
  const payload = Uint8Array.from({ length: 1_000_000 }, (_, index) => index % 251);
  assert.deepEqual(await one.comms.publishToTopic({ topic: "large", payload }), { ok: true });
  for (const listener of heard) {
    const message = await listener.first();
    assert.equal(Buffer.compare(message.payload, payload), 0);
  }
});

test("CommsDirectorService takes heartbeats and tells of adapters", async (t) => {
  const one = await peer(t, KERNEL_2023);
  const command = one.director.getCommsCommands({})[Symbol.asyncIterator]().next();
  await one.director.sendHeartbeat({ position: { x: 500, y: 0, z: -500 } });
  const { value } = await within(command, "no command");
  assert.equal(value.command.$case, "setCommsAdapter");
  assert.match(value.command.setCommsAdapter.connectionString, /^ws-room:ws:/);
});

test("a second login is told to the first, whose socket is closed after ten seconds", async (t) => {
  const identity = await newIdentity();
  const first = await peer(t, KERNEL_2023, identity);
  const told = first.authentication.getDisconnectionMessage({});
  const second = await peer(t, KERNEL_2023, identity);
  assert.equal(second.challenge.alreadyConnected, true);
  assert.deepEqual(await within(told, "nobody told"), { reason: 0 });
  const since = Date.now();
  await within(first.closed, "not closed");
  assert.ok(Date.now() - since > 8_000, "it has its time");
  assert.equal(second.socket.readyState, second.socket.OPEN);
});

test("kernels of 2022 that offer comms are never told that they are connected already", async (t) => {
  const identity = await newIdentity();
  const first = await peer(t, KERNEL_2022, identity);
  const second = await peer(t, KERNEL_2022, identity);
  assert.equal(second.challenge.alreadyConnected, false);
  // It never asks why, and is closed all the same.
  await within(first.closed, "not closed");
});

test("forged logins are refused, and nothing but authentication is there before one", async (t) => {
  const [victim, forger] = [await newIdentity(), await newIdentity()];
  const connection = await connect(edge, KERNEL_2023);
  t.after(() => connection.socket.close());
  await assert.rejects(connection.port.loadModule("CommsService"), /Module CommsService is not available for port kernel/);
  const { challengeToSign } = await connection.authentication.getChallenge({ address: victim.address });
  const chain = forger.sign(challengeToSign);
  chain[0].payload = victim.address;
  const authChainJson = JSON.stringify(chain);
  await assert.rejects(connection.authentication.authenticate({ authChainJson }), /Authentication failed/);
  await assert.rejects(connection.authentication.getChallenge({ address: victim.address }), /invalid portId/);
});

test("nobody publishes what services own, nor hears what is another's", async (t) => {
  const [spy, one] = [await peer(t, KERNEL_2023), await peer(t, KERNEL_2022)];
  for (const topic of ["island_changed", "island.I1.peer_join", "*", ">", "a.*", "a b", "a..b", ""]) {
    await assert.rejects(spy.comms.publishToTopic({ topic, payload: new Uint8Array() }), /Invalid topic/, topic);
  }
  const all = await listen(spy, "System", ">");
  const anybodys = await listen(spy, "Peer", ">");
  const own = await listen(spy, "System", `${spy.address}.island_changed`);
  await keepStanding(t, spy, 8000, 0, 8000);
  await island(t, one, 8000, 8000);
  const send = (topic) => one.comms.publishToTopic({ topic, payload: new Uint8Array([1]) });
  await send(`${one.address}.offer`);
  await send(`0x${"1".repeat(40)}.candidate`);
  await send(`${spy.address}.answer`);
  await send("open");
  await anybodys.first(({ topic }) => topic === "open");
  await own.first();
  await all.first(({ topic }) => topic.endsWith(".peer_join"));
  const topics = new Set(anybodys.messages.map(({ topic }) => topic));
  assert.deepEqual(topics, new Set([`${spy.address}.answer`, "open"]));
  const foreign = all.messages.filter(({ topic }) => topic.startsWith("peer.") || topic.startsWith(one.address));
  assert.deepEqual(foreign, []);
});

test("a text message or a broken frame costs its sender the socket, and nobody else", async (t) => {
  const [one, other] = [await peer(t, KERNEL_2023), await peer(t, KERNEL_2023)];
  const bystander = await peer(t, KERNEL_2023);
  one.socket.send("hello");
  other.socket.send(new Uint8Array([0x0d, 0x01]));
  assert.equal((await within(one.closed, "not closed")).code, 1003);
  assert.equal((await within(other.closed, "not closed")).code, 1007);
  assert.deepEqual(await bystander.comms.publishToTopic({ topic: "still", payload: new Uint8Array() }), { ok: true });
});

test("a client's close is answered", async (t) => {
  const one = await peer(t, KERNEL_2023);
  one.socket.close(1000, "leaving");
  const { code } = await within(one.closed, "no answer to the close");
  assert.equal(code, 1000);
});
