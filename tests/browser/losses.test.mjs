// What a tab's network may do to its session: another source port, 20 s of nothing, the loss of UDP. The seat stays.
import assert from "node:assert/strict";
import { setTimeout as sleep } from "node:timers/promises";
import { after, afterEach, before, test } from "node:test";
import { startChromium } from "./chromium.mjs";
import { startEdge } from "./edge.mjs";
import { openTab } from "./tab.mjs";

const TIMEOUT = 120_000;
const CUT_MS = 20_000;

let edge;
let chromium;
/** On a network that can be cut. */
let ann;
/** Her neighbour, who should notice nothing. */
let bob;

before(async () => {
  edge = await startEdge();
  chromium = await startChromium();
  bob = await openTab({ chromium, edge, x: 5 });
}, { timeout: TIMEOUT });

afterEach(async () => {
  await ann?.leave();
  await bob.untilMembers([bob.address]);
  await ann?.stop();
  ann = null;
}, { timeout: TIMEOUT });

after(async () => {
  await chromium?.stop();
  await edge?.stop();
}, { timeout: TIMEOUT });

test("another source port in mid-session changes nothing", { timeout: TIMEOUT }, async () => {
  const before = await annJoins();
  for (let move = 0; move < 2; move++) {
    const moves = await ann.udp.rebind();
    assert.ok(moves.length > 0 && moves.every((ports) => ports.before !== ports.after));
    const { up, down } = ann.udp.counts;
    const updates = (await bob.state()).received[ann.address].updates;
    await ann.sendOrdered(`from the new port ${move}`);
    await bob.sendOrdered(`to the new port ${move}`);
    await bob.until(([address, count]) => window.atoll.received[address].updates >= count, [ann.address, updates + 3]);
    await Promise.all([ann.untilOrdered(move + 1), bob.untilOrdered(before.bob.heard.ordered.length + move + 1)]);
    assert.ok(ann.udp.counts.up > up && ann.udp.counts.down > down, "all of it through the proxy");
  }
  await assertSameSeat(before, { events: [], connections: 1, way: "webtransport" });
});

test("20 s without a network: a new connection takes the old seat, and nothing ordered is lost", { timeout: TIMEOUT }, async () => {
  const before = await annJoins();
  const start = performance.now();
  ann.udp.block();
  ann.tcp.block();
  await sayDuring("the cut");
  await ann.until(() => window.heard.events.includes("disconnected"));
  assert.equal((await ann.state()).way, null);
  await ann.sendOrdered("without a connection");
  await sleep(CUT_MS - (performance.now() - start));
  ann.udp.unblock();
  ann.tcp.unblock();
  await ann.until(() => window.heard.events.some((event) => event.startsWith("resumed")));
  const { way } = await ann.state();
  await assertHeard(before, ["before the cut", "during the cut", "without a connection"], ["before the cut", "during the cut"]);
  const moved = way === "webtransport" ? [] : [`wayChanged ${way}`];
  await assertSameSeat(before, { events: ["disconnected", ...moved, `resumed ${way}`], connections: 2, way });
});

test("without UDP the session goes on over the WebSocket, and back when UDP is back", { timeout: TIMEOUT }, async () => {
  const before = await annJoins({ upgradeMs: 2_000 });
  ann.udp.block();
  await sayDuring("the block");
  await ann.until(() => window.atoll.way === "websocket");
  await assertHeard(before, ["before the block", "during the block"], ["before the block", "during the block"]);
  ann.udp.unblock();
  await ann.sendOrdered("on the WebSocket");
  await ann.until(() => window.atoll.way === "webtransport");
  await ann.sendOrdered("on WebTransport");
  await bob.sendOrdered("to WebTransport");
  await assertHeard(
    before,
    ["before the block", "during the block", "on the WebSocket", "on WebTransport"],
    ["before the block", "during the block", "to WebTransport"],
  );
  const events = ["disconnected", "wayChanged websocket", "resumed websocket", "wayChanged webtransport", "resumed webtransport"];
  await assertSameSeat(before, { events, connections: 3, way: "webtransport" });
});

/** Ann comes, and both sit in one room. */
async function annJoins(options = {}) {
  ann = await openTab({ chromium, edge, x: 0, network: true, ...options });
  const both = [ann.address, bob.address];
  await Promise.all([ann.untilMembers(both), bob.untilMembers(both)]);
  await bob.until((address) => window.atoll.received[address]?.updates > 0, ann.address);
  await ann.page.evaluate(() => void (window.heard.events.length = 0));
  const before = { ann: await ann.state(), bob: await bob.state() };
  assert.deepEqual([before.ann.way, before.ann.stats.connections], ["webtransport", 1]);
  return before;
}

/** Both speak while Ann's network is blocked already, Ann's client knowing nothing of it yet. */
async function sayDuring(what) {
  await Promise.all([ann, bob].map((tab) => tab.sendOrdered(`before ${what}`)));
  await Promise.all([ann, bob].map((tab) => tab.sendOrdered(`during ${what}`)));
}

/** Everything the other said arrived, in order, once. */
async function assertHeard(before, byAnn, byBob) {
  const from = before.bob.heard.ordered.length;
  await Promise.all([ann.untilOrdered(byBob.length), bob.untilOrdered(from + byAnn.length)]);
  assert.deepEqual((await ann.state()).heard.ordered, byBob);
  assert.deepEqual((await bob.state()).heard.ordered.slice(from), byAnn);
  await Promise.all([ann.untilAcknowledged(), bob.untilAcknowledged()]);
}

/** Ann has the seat she had, after these events and connections, and Bob saw nobody leave. */
async function assertSameSeat(before, { events, connections, way }) {
  const now = { ann: await ann.state(), bob: await bob.state() };
  assert.deepEqual(now.ann.heard.events, events);
  assert.deepEqual([now.ann.stats.connections, now.ann.way], [connections, way]);
  assert.deepEqual([now.ann.tag, now.ann.alias, now.ann.islandId], [before.ann.tag, before.ann.alias, before.ann.islandId]);
  assert.equal(now.ann.state, "on an island");
  assert.deepEqual(now.bob.heard.left.slice(before.bob.heard.left.length), []);
  assert.equal(now.bob.tag, before.bob.tag);
  assert.deepEqual([now.ann.heard.gaps, now.bob.heard.gaps], [[], []]);
  // And hears her again.
  const { updates } = now.bob.received[ann.address];
  await bob.until(([address, count]) => window.atoll.received[address].updates >= count, [ann.address, updates + 2]);
}
