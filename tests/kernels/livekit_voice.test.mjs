// Microphones of LiveKit's clients, in one island: who hears whom, sees whom mute and speak, and what it takes to hear only whom one
// wants. Runs behind tests/browser's install.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { until } from "./kernel.mjs";
import { LivekitIsland } from "./livekit_island.mjs";
import { complaints } from "./room_member.mjs";

const TIMEOUT = 120_000;
/** Of a voice: so much is more than noise. Both the tone and the beeps of Chromium's microphone come to that within a second or two. */
const ENERGY = 0.002;
const PACKETS = 25;

/** What ends with the suite, the last first. */
const ends = [];
const scope = { after: (end) => ends.push(end) };

let island;

before(async () => {
  island = await LivekitIsland.open(scope);
}, { timeout: TIMEOUT });

after(async () => {
  for (const end of ends.reverse()) await end();
}, { timeout: TIMEOUT });

for (const name of ["first", "second", "node"]) {
  test(`a microphone of "${name}" is heard and seen by the others on LiveKit`, { timeout: TIMEOUT }, async () => {
    const speaker = island.rooms[name];
    await speaker.setMicrophone(true);
    await isHeard(speaker);
    const listeners = others(speaker);
    for (const listener of listeners) {
      await listener.sees(() => listener.told("speaking").includes(speaker.address), `${name} speak`);
      assert.equal((await listener.voices())[speaker.address].isMuted, false);
      assert.deepEqual(listener.told("trackSubscribed").filter((address) => address === speaker.address).length, 1);
    }
    if (name !== "node") await mutes(speaker, listeners);
    await speaker.setMicrophone(false);
    for (const listener of listeners) {
      await listener.sees(() => !listener.state.speakers.includes(speaker.address), `${name} fall silent`);
    }
    await island.company.exchange(5);
  });
}

test("all speak at once, and whoever comes late hears them all", { timeout: TIMEOUT }, async () => {
  const { first, second, node } = island.rooms;
  for (const speaker of [first, second, node]) await speaker.setMicrophone(true);
  await Promise.all([first, second, node].map(isHeard));
  const { transport } = island.rooms;
  await transport.leave();
  await island.without(transport).isTogether();
  const again = await island.enter("transport", { former: transport });
  await hearsAll(again, [first, second, node]);
  await island.company.isTogether();
  await island.company.exchange(5);
});

for (const name of ["first", "second", "node"]) {
  test(`"${name}" without auto-subscription hears whom it subscribes to`, { timeout: TIMEOUT }, async () => {
    const former = island.rooms[name];
    await former.leave();
    await island.without(former).isTogether();
    const listener = await island.enter(name, { former, autoSubscribe: false });
    const speakers = others(listener).filter(({ address }) => address !== island.rooms.transport.address);
    const published = async () => Object.keys(await listener.voices()).length;
    await until(async () => (await published()) === speakers.length, `${name} is not told of microphones`);
    // It would hear by now what another one hears that came later.
    const { transport } = island.rooms;
    await transport.leave();
    const late = await island.enter("transport", { former: transport });
    await hearsAll(late, speakers);
    await listener.refresh();
    assert.deepEqual(listener.told("trackSubscribed"), []);
    for (const { packets = 0 } of Object.values(await listener.voices())) assert.equal(packets, 0);

    await listener.subscribe(true);
    await hearsAll(listener, speakers);
    await listener.subscribe(false);
    await listener.sees(() => listener.told("trackUnsubscribed").length === speakers.length, "that it has unsubscribed");
    // Whom it does not hear hears it.
    await listener.setMicrophone(true);
    await isHeard(listener);

    await listener.leave();
    await island.without(listener).isTogether();
    const again = await island.enter(name, { former: listener });
    await again.setMicrophone(true);
    await isHeard(again);
    await island.company.isTogether();
    await island.company.exchange(5);
  });
}

test("nobody heard what should not have come", { timeout: TIMEOUT }, async () => {
  assert.deepEqual(complaints, []);
  assert.deepEqual(await island.tab.trouble(), { lastError: null, gaps: 0, refusals: [], droppedMalformed: 0, droppedMessages: 0 });
});

function others(room) {
  return island.livekit.filter((other) => other !== room);
}

/** Waits until all others on LiveKit hear something of somebody. */
async function isHeard(speaker) {
  await Promise.all(others(speaker).map((listener) => hears(listener, speaker)));
}

/** Waits until a listener hears something of all of these. */
async function hearsAll(listener, speakers) {
  await Promise.all(speakers.map((speaker) => hears(listener, speaker)));
}

/** Waits until more has come of a voice than until now, and it is no silence. */
async function hears(listener, speaker) {
  const voice = async () => ({ packets: 0, energy: 0, ...(await listener.voices())[speaker.address] });
  let before = await voice();
  const isHeard = async () => {
    const { packets, energy } = await voice();
    // Of another track by now.
    if (packets < before.packets) before = { packets: 0, energy: 0 };
    return packets >= before.packets + PACKETS && energy >= before.energy + ENERGY;
  };
  await until(isHeard, `${listener.constructor.name} does not hear ${speaker.constructor.name}`);
}

/** Mutes a microphone and takes that back, and everybody sees it. */
async function mutes(speaker, listeners) {
  for (const [isOn, event] of [[false, "trackMuted"], [true, "trackUnmuted"]]) {
    const before = listeners.map((listener) => listener.told(event).length);
    await speaker.setMicrophone(isOn);
    for (const [index, listener] of listeners.entries()) {
      await listener.sees(() => listener.told(event).length > before[index], event);
      assert.deepEqual(listener.told(event).slice(before[index]), [speaker.address]);
      assert.equal((await listener.voices())[speaker.address].isMuted, !isOn);
      if (!isOn) await listener.sees(() => !listener.state.speakers.includes(speaker.address), "it fall silent");
    }
  }
  await isHeard(speaker);
}
