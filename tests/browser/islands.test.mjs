// Two tabs on the edge's own page: they meet, hear each other by datagrams, part and meet again.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { startChromium } from "./chromium.mjs";
import { startEdge } from "./edge.mjs";

/** Walking, and the archipelago's flushes of 2 s, take their time. */
const TIMEOUT = 60_000;
const WAIT = { timeout: 30_000 };

let edge;
let chromium;
let ann;
let bob;

before(async () => {
  edge = await startEdge();
  chromium = await startChromium();
  ann = await visit(0, 0);
  bob = await visit(10, 0);
}, { timeout: TIMEOUT });

after(async () => {
  await chromium?.stop();
  await edge?.stop();
}, { timeout: TIMEOUT });

test("both join one island and see each other", { timeout: TIMEOUT }, async () => {
  assert.notEqual(ann.address, bob.address);
  await together();
  const [ofAnn, ofBob] = [await ann.state(), await bob.state()];
  assert.deepEqual(ofAnn.members.toSorted(), [ann.address, bob.address].toSorted());
  assert.deepEqual(ofBob.members.toSorted(), ofAnn.members.toSorted());
  assert.equal(ofAnn.tag, ofBob.tag, "one room, one tag");
});

test("each hears where the other stands, by datagrams", { timeout: TIMEOUT }, async () => {
  await assertHears(bob, ann, { x: 3, z: -4 });
  await assertHears(ann, bob, { x: 12.5, z: 7.25 });
});

test("a line of chat reaches the other", { timeout: TIMEOUT }, async () => {
  assert.equal(await ann.page.evaluate(() => window.atoll.say("ahoi ⛵")), true);
  await bob.page.waitForFunction(() => window.atoll.lines.length > 0, null, WAIT);
  assert.deepEqual((await bob.state()).lines, [{ from: ann.address, text: "ahoi ⛵" }]);
});

test("far apart they are on two islands and hear nothing of each other", { timeout: TIMEOUT }, async () => {
  assert.equal(await bob.walkTo(150, 0), true);
  await apart();
  const before = { ann: await ann.state(), bob: await bob.state() };
  assert.notEqual(before.ann.tag, before.bob.tag);
  // Both move, so that there is something to be heard, until each has sent a dozen more.
  await Promise.all([ann.walkTo(-20, 0), bob.walkTo(170, 0)]);
  await Promise.all([ann.untilSent(before.ann.stats.datagramsSent + 12), bob.untilSent(before.bob.stats.datagramsSent + 12)]);
  const now = { ann: await ann.state(), bob: await bob.state() };
  assert.deepEqual(now.ann.received[bob.address], before.ann.received[bob.address]);
  assert.deepEqual(now.bob.received[ann.address], before.bob.received[ann.address]);
  assert.equal(now.ann.stats.packetsReceived, before.ann.stats.packetsReceived);
  assert.equal(now.bob.stats.packetsReceived, before.bob.stats.packetsReceived);
});

test("they meet again and hear each other again", { timeout: TIMEOUT }, async () => {
  assert.equal(await bob.walkTo(-10, 5), true);
  await together();
  await assertHears(bob, ann, { x: -25, z: 1 });
  await assertHears(ann, bob, { x: -8, z: -3.5 });
});

test("the edge refused nothing and the pages complained of nothing", { timeout: TIMEOUT }, async () => {
  for (const tab of [ann, bob]) {
    const { lastError, stats } = await tab.state();
    assert.equal(lastError, null);
    assert.equal(stats.droppedMalformed, 0);
    assert.equal(stats.droppedMessages, 0);
  }
  assert.deepEqual(chromium.complaints, []);
});

/** Opens the page in a tab whose avatar starts at this place. */
async function visit(x, z) {
  const page = await chromium.newTab(`${edge.http}/?x=${x}&z=${z}`);
  const address = await page.evaluate(() => window.atoll.address);
  return {
    page,
    address,
    state: () =>
      page.evaluate(() => {
        const { state, islandId, tag, members, position, received, lines, lastError, stats } = window.atoll;
        return { state, islandId, tag, members, position, received, lines, lastError, stats };
      }),
    walkTo: (x, z) => page.evaluate(([x, z]) => window.atoll.walkTo(x, z), [x, z]),
    untilSent: (count) => page.waitForFunction((count) => window.atoll.stats.datagramsSent >= count, count, WAIT),
    untilMembers: (addresses) =>
      page.waitForFunction(
        (addresses) =>
          window.atoll.islandId !== null &&
          window.atoll.members.length === addresses.length &&
          addresses.every((address) => window.atoll.members.includes(address)),
        addresses,
        WAIT,
      ),
  };
}

async function together() {
  const both = [ann.address, bob.address];
  await Promise.all([ann.untilMembers(both), bob.untilMembers(both)]);
  assert.equal((await ann.state()).islandId, (await bob.state()).islandId);
}

async function apart() {
  await Promise.all([ann.untilMembers([ann.address]), bob.untilMembers([bob.address])]);
  assert.notEqual((await ann.state()).islandId, (await bob.state()).islandId);
}

/** `speaker` walks to a place; `listener` hears it there, and hears of the way by datagrams and nothing else. */
async function assertHears(listener, speaker, { x, z }) {
  const before = await listener.state();
  const updatesBefore = before.received[speaker.address]?.updates ?? 0;
  assert.equal(await speaker.walkTo(x, z), true);
  assert.deepEqual((await speaker.state()).position, { x, y: 0, z });
  await listener.page.waitForFunction(
    ([address, x, z]) => window.atoll.received[address]?.x === x && window.atoll.received[address].z === z,
    [speaker.address, x, z],
    WAIT,
  );
  // Standing still repeats the place: a few more come.
  await listener.page.waitForFunction(
    ([address, count]) => window.atoll.received[address].updates >= count,
    [speaker.address, updatesBefore + 3],
    WAIT,
  );
  const now = await listener.state();
  const heard = now.received[speaker.address];
  assert.deepEqual({ x: heard.x, y: heard.y, z: heard.z }, { x, y: 0, z });
  assert.ok(now.stats.datagramsReceived - before.stats.datagramsReceived >= heard.updates - updatesBefore);
  assert.equal(now.stats.messagesReceived, before.stats.messagesReceived, "the control stream was silent meanwhile");
}
