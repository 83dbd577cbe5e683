// A WebTransport tab and kernels at one place: one island, and scene messages both ways. Runs behind tests/browser's install.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { startChromium } from "../browser/chromium.mjs";
import { openTab } from "../browser/tab.mjs";
import { KERNEL_2022, KERNEL_2023, keepStanding, listen, logIn, newIdentity } from "./kernel.mjs";
import { startEdge } from "./setup.mjs";

const TIMEOUT = 60_000;
const TOPIC = "scene.bafkre.1";

let edge;
let chromium;
let tab;

before(async () => {
  edge = await startEdge();
  chromium = await startChromium();
  tab = await openTab({ chromium, edge, x: 0 });
}, { timeout: TIMEOUT });

after(async () => {
  await chromium?.stop();
  await edge?.stop();
}, { timeout: TIMEOUT });

async function kernel(t, generation) {
  const peer = await logIn(edge, generation, await newIdentity());
  t.after(() => peer.socket.close());
  return peer;
}

test("a tab and kernels that stand at one place are told the same island", { timeout: TIMEOUT }, async (t) => {
  assert.equal((await tab.state()).way, "webtransport");
  const kernels = [await kernel(t, KERNEL_2022), await kernel(t, KERNEL_2023)];
  const told = await Promise.all(kernels.map((peer) => listen(peer, "System", `${peer.address}.island_changed`)));
  await Promise.all(kernels.map((peer) => keepStanding(t, peer, 2, 0, 0)));
  // Who comes first is not told of who comes later: each hears of the tab, which stood there before.
  const changes = await Promise.all(
    kernels.map(async ({ address, kernel: { archipelago } }, index) => {
      const decode = ({ payload }) => archipelago.IslandChangedMessage.decode(payload);
      const change = decode(await told[index].first((message) => tab.address in decode(message).peers));
      assert.ok(address in change.peers);
      return change;
    }),
  );
  const [{ islandId }, other] = changes;
  assert.equal(other.islandId, islandId);
  // Each is told by itself: the page may hear of it a moment later.
  await tab.until((islandId) => window.atoll.islandId === islandId, islandId);
});

test("a tab and a kernel exchange scene messages by topics", { timeout: TIMEOUT }, async (t) => {
  await tab.page.evaluate(async (topic) => {
    window.scene = [];
    const take = ({ topic, address, payload, missed }) =>
      window.scene.push({ topic, address, text: new TextDecoder().decode(payload), missed });
    window.subscription = window.atoll.client.subscribe(topic, take);
    await window.subscription.ready;
  }, TOPIC);
  const say = (text) =>
    tab.page.evaluate(([topic, text]) => window.atoll.client.publish(topic, new TextEncoder().encode(text)), [TOPIC, text]);
  const peers = [await kernel(t, KERNEL_2022), await kernel(t, KERNEL_2023)];
  const heard = await Promise.all(peers.map((peer) => listen(peer, "Peer", TOPIC)));

  await say("from the tab");
  for (const messages of heard) {
    const { topic, sender, payload } = await messages.first();
    assert.deepEqual([topic, sender, new TextDecoder().decode(payload)], [TOPIC, tab.address, "from the tab"]);
  }
  for (const peer of peers) {
    const payload = new TextEncoder().encode(`from ${peer.address}`);
    assert.deepEqual(await peer.comms.publishToTopic({ topic: TOPIC, payload }), { ok: true });
  }
  await tab.until((count) => window.scene.length === count, 3);
  const scene = await tab.page.evaluate(() => window.scene);
  assert.deepEqual(scene, [
    { topic: TOPIC, address: tab.address, text: "from the tab", missed: 0 },
    ...peers.map(({ address }) => ({ topic: TOPIC, address, text: `from ${address}`, missed: 0 })),
  ]);
});

test("a signal for a kernel reaches it from a tab, and no other kernel", { timeout: TIMEOUT }, async (t) => {
  const [target, curious] = [await kernel(t, KERNEL_2022), await kernel(t, KERNEL_2022)];
  const offers = await listen(target, "Peer", `${target.address}.offer`);
  const all = await listen(curious, "Peer", ">");
  const send = (topic) => tab.page.evaluate((topic) => window.atoll.client.publish(topic, Uint8Array.of(1)), topic);
  await send(`${target.address}.offer`);
  await send("afterwards");
  assert.equal((await offers.first()).sender, tab.address);
  await all.first(({ topic }) => topic === "afterwards");
  assert.deepEqual(all.messages.map(({ topic }) => topic), ["afterwards"]);
});

test("the pages complained of nothing", { timeout: TIMEOUT }, async () => {
  const { lastError, stats } = await tab.state();
  assert.deepEqual([lastError, stats.topicsMissed, chromium.complaints], [null, 0, []]);
});
