// LiveKit without a LiveKit server: its clients of three ages for browsers and the one for Node, as they are, in one island with a
// WebTransport tab and a kernel in the WebSocket room; who hears what of whom, by ledger. Runs behind tests/browser's install.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { until } from "./kernel.mjs";
import { CLIENTS, LivekitIsland } from "./livekit_island.mjs";
import { REASON } from "./livekit_room.mjs";
import { complaints } from "./room_member.mjs";
import { UNRELIABLE } from "./room_words.mjs";

const TIMEOUT = 120_000;

/** What ends with the suite, the last first. */
const ends = [];
const scope = { after: (end) => ends.push(end) };

let island;

const { length: SEATS } = [...Object.keys(CLIENTS), "ws", "tab"];
/** Kernels until October 2022 have other words, and some of theirs nobody else has. */
const isWithinGeneration = ({ listener, speaker }) => [listener, speaker].every((member) => member !== island.rooms.transport);
const count = (list, item) => list.filter((one) => one === item).length;

before(async () => {
  island = await LivekitIsland.open(scope, { ATOLL_ROOMS__RULES: "world-* open" });
}, { timeout: TIMEOUT });

after(async () => {
  for (const end of ends.reverse()) await end();
}, { timeout: TIMEOUT });

test("kernels of every age are sent to the edge itself, and meet everybody there", { timeout: TIMEOUT }, async () => {
  const host = new URL(island.edge.http).host;
  for (const name of Object.keys(CLIENTS)) {
    assert.match(await island.stringOf(name), new RegExp(`^livekit:ws://${host}/?\\?access_token=[^.]+\\.[^.]+\\.[^.]+$`));
  }
  await island.company.isTogether();
  assert.equal((await island.tab.tab.state()).way, "webtransport");
  assert.equal((await island.tab.seat()).members.length, SEATS);
  for (const { constructor, address, state } of island.livekit) {
    const { name, identity, state: connection } = state;
    assert.deepEqual({ name, identity, connection }, { name: island.id, identity: address, connection: "connected" }, constructor.name);
    assert.equal(address, address.toLowerCase());
  }
});

test("ordered messages come once, in the order of saying them", { timeout: TIMEOUT }, async () => {
  await island.company.exchange(200);
});

test("of places the newest comes, and none twice or late", { timeout: TIMEOUT }, async () => {
  await island.company.move(40);
});

test("events and speech come at most once, and what a generation has no words for is not heard there", { timeout: TIMEOUT }, async () => {
  const { company, livekit } = island;
  const own = company.pairs.filter(isWithinGeneration);
  const isHeard = (sort) => ({ listener, speaker }) => listener.ledger.of(speaker.address, sort).length > 0;
  for (const sort of ["event", "voice", "request"]) {
    // A datagram may be lost.
    const isToldAnew = async () => {
      const unheard = new Set(own.filter((pair) => !isHeard(sort)(pair)).map(({ speaker }) => speaker));
      for (const speaker of unheard) await speaker.say(sort, 3);
      return unheard.size === 0;
    };
    await company.hears(isToldAnew, sort);
  }
  await company.exchange(10);
  for (const { listener, speaker } of company.pairs.filter((pair) => !isWithinGeneration(pair))) {
    for (const sort of ["voice", "request"]) assert.deepEqual(listener.ledger.of(speaker.address, sort), []);
  }
  // LivekitTransport does not tell by which channel it came.
  for (const { constructor, words, packets } of livekit.filter((room) => room !== island.rooms.transport)) {
    assert.ok(packets.length > 0);
    for (const { bytes, isReliable, from } of packets) {
      const [sort] = words.decode(Uint8Array.from(bytes));
      assert.equal(isReliable, !UNRELIABLE.includes(sort), `${constructor.name}: ${sort} of ${from}`);
    }
  }
});

test("what is for some reaches them alone, under its topic", { timeout: TIMEOUT }, async () => {
  const { company, rooms, tab } = island;
  const { first, second, node, ws } = rooms;
  company.beginAnew();
  const say = async (speaker, listeners, topic = undefined) => {
    const number = await speaker.sayTo("event", { reliable: true, to: listeners?.map(({ address }) => address), topic });
    return { speaker, number, listeners: listeners ?? company.members.filter((member) => member !== speaker), topic };
  };
  const said = [
    await say(second, [node], "for one"),
    await say(node, [second, tab], "for two"),
    await say(second, [tab, ws]),
    await say(first, [second, ws]),
    await say(node, null, "for all"),
    await say(second, null, "for all"),
  ];
  // Nothing that was said before these is still on its way.
  await company.exchange(5);
  for (const { listener, speaker } of company.pairs) {
    const own = said.filter((message) => message.speaker === speaker && message.listeners.includes(listener));
    const numbers = own.map(({ number }) => number);
    const what = `${listener.constructor.name} of ${speaker.constructor.name}`;
    assert.deepEqual(listener.ledger.of(speaker.address, "event"), numbers, what);
    if (listener !== second && listener !== node) continue;
    const topics = listener.packets.filter(({ from, topic }) => from === speaker.address && topic).map(({ topic }) => topic);
    assert.deepEqual(topics, own.filter(({ topic }) => topic).map(({ topic }) => topic), what);
  }
});

test("a message of the size that the SDKs allow comes whole", { timeout: TIMEOUT }, async () => {
  const { first, second, node } = island.rooms;
  const bytes = Uint8Array.from({ length: 60_000 }, (_, index) => index % 251);
  const others = (speaker) => [first, second, node].filter((member) => member !== speaker);
  for (const speaker of [first, second, node]) {
    const listeners = others(speaker);
    await speaker.publish([{ bytes, reliable: true, to: listeners.map(({ address }) => address) }]);
    for (const listener of listeners) {
      const isHere = async () => {
        // These are no words, so they are not for the ledger.
        const { heard, events } = await listener.take();
        listener.events.push(...events);
        return heard.some((packet) => packet.from === speaker.address && Buffer.from(packet.bytes).equals(bytes));
      };
      await until(isHere, `${listener.constructor.name} of ${speaker.constructor.name}`);
    }
  }
});

test("whoever leaves and comes back is told of once, to everybody", { timeout: TIMEOUT }, async () => {
  const told = ({ joins, leaves, events }, address) => {
    if (!events) return { joins: count(joins, address), leaves: count(leaves, address) };
    const of = (name) => events.filter(([event, whom]) => event === name && whom === address).length;
    return { joins: of("participantConnected"), leaves: of("participantDisconnected") };
  };
  const goAndComeBack = async (member, go, comeBack) => {
    const others = island.without(member);
    const before = others.members.filter((other) => other !== island.tab).map((other) => ({ other, ...told(other, member.address) }));
    await go();
    await others.isTogether();
    await comeBack();
    await island.company.isTogether();
    for (const { other, joins, leaves } of before) {
      const what = `${other.constructor.name} of ${member.constructor.name}`;
      assert.deepEqual(told(other, member.address), { joins: joins + 1, leaves: leaves + 1 }, what);
    }
  };
  const { tab } = island;
  for (const name of Object.keys(CLIENTS)) {
    const former = island.rooms[name];
    await goAndComeBack(former, () => former.leave(), () => island.enter(name, { former }));
  }
  const { ws } = island.rooms;
  await goAndComeBack(ws, () => ws.leave(), () => island.enterWs(ws));
  const elsewhere = `ws-room:${island.edge.http.replace("http", "ws")}/rooms/world-red`;
  await goAndComeBack(tab, () => tab.joinRoom(elsewhere), () => tab.leaveRoom());
  island.company.beginAnew();
  await island.company.exchange(5);
});

test("who loses its signals resumes: nobody sees it go, and nothing is lost", { timeout: TIMEOUT }, async () => {
  const { company, livekit, rooms, tab, proxy } = island;
  company.beginAnew();
  const { ws } = rooms;
  const seats = async () => ({ aliases: await tab.others(), joins: [...ws.joins], leaves: [...ws.leaves] });
  const before = await seats();
  const sids = livekit.map(({ state }) => ({ sid: state.sid, others: state.others }));
  const resumed = livekit.map((room) => room.told("reconnected").length);
  proxy.cut();
  await company.say("ordered", 30);
  for (const [index, room] of livekit.entries()) {
    await room.sees(() => room.told("reconnected").length > resumed[index], "its resumption");
  }
  await company.exchange(30);
  await company.isTogether();
  assert.deepEqual(await seats(), before);
  // By the same seats: whoever has to come anew has another.
  assert.deepEqual(livekit.map(({ state }) => ({ sid: state.sid, others: state.others })), sids);
  for (const room of livekit) assert.deepEqual(room.told("disconnected"), [], room.constructor.name);
  await company.move(5);
});

test("a second connection of a session takes over its seat, and the first does not come back", { timeout: TIMEOUT }, async () => {
  const { rooms, tab } = island;
  for (const name of Object.keys(CLIENTS)) {
    const [former, { ws }] = [rooms[name], rooms];
    const before = { aliases: await tab.others(), joins: [...ws.joins], leaves: [...ws.leaves] };
    await island.company.exchange(5);
    await replace(name);
    const reason = await end(former);
    assert.notEqual(reason, REASON.duplicateIdentity, name);
    await island.company.isTogether();
    assert.deepEqual({ aliases: await tab.others(), joins: ws.joins, leaves: ws.leaves }, before, name);
  }
  await island.company.exchange(5);
  await assertEnded();
});

test("another session of an address takes its place: the first is told so, and does not come back", { timeout: TIMEOUT }, async () => {
  for (const name of Object.keys(CLIENTS)) {
    const former = island.rooms[name];
    await island.company.exchange(5);
    await island.logIn(name);
    await replace(name);
    assert.equal(await end(former), REASON.duplicateIdentity, name);
  }
  await island.company.isTogether();
  await island.company.exchange(5);
  await assertEnded();
});

test("nobody heard what should not have come", { timeout: TIMEOUT }, async () => {
  assert.deepEqual(complaints, []);
  assert.deepEqual(await island.tab.trouble(), { lastError: null, gaps: 0, refusals: [], droppedMalformed: 0, droppedMessages: 0 });
});

/** Those who were replaced. */
const former = [];

/** Puts another connection of the same peer into the island, which goes on counting where the former stopped. */
async function replace(name) {
  const room = island.rooms[name];
  former.push(room);
  const next = await island.enter(name);
  next.goOnFrom(room);
  next.listenTo(island.company.members);
}

/** Waits until a connection is at its end; resolves to the reason that it was told. */
async function end(room) {
  await room.sees(() => room.told("disconnected").length > 0, "its end");
  assert.equal(room.state.state, "disconnected");
  return room.told("disconnected")[0];
}

/** None of those who were replaced has tried to come back. */
async function assertEnded() {
  for (const room of former) {
    await room.refresh();
    assert.equal(room.state.state, "disconnected");
    assert.deepEqual(room.events.slice(room.events.findIndex(([event]) => event === "disconnected") + 1), []);
  }
}
