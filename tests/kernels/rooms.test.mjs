// One room for all: kernels of each generation of WebSocket rooms, a WebTransport tab and a raw QUIC client in one island, and who
// hears what of whom, by ledger. Runs behind tests/browser's install.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { startChromium } from "../browser/chromium.mjs";
import { Company, assertRising, isReliable } from "./company.mjs";
import { KERNEL_2022, KERNEL_2023, newIdentity, until, within } from "./kernel.mjs";
import { startWalker } from "./quic_walker.mjs";
import { Rfc5Room } from "./rfc5_room.mjs";
import { complaints } from "./room_member.mjs";
import { explorerSession, kernelSession } from "./room_session.mjs";
import { startEdge } from "./setup.mjs";
import { HANDSHAKE, signedFetch } from "./signed_fetch.mjs";
import { SummerRoom, openSummerPage } from "./summer_room.mjs";
import { TabRoom } from "./tab_room.mjs";

const TIMEOUT = 90_000;
const HERE = [1, 1];
const FAR = [3000, 1];

/** What ends with the suite, the last first. */
const ends = [];
const scope = { after: (end) => ends.push(end) };

let edge;
let chromium;
let page;
let islandId;
let tab;
let walker;
let walkerAddress;
/** Sessions of `june` and `july` (generation 1), `autumn` (2a) and `modern` (2b), and their clients in the island's room. */
const sessions = {};
const rooms = {};

const company = () => new Company(tab, ...Object.values(rooms));
const summer = () => [rooms.june, rooms.july];
const isWithinGeneration = ({ listener, speaker }) => summer().includes(listener) === summer().includes(speaker);
const isHere = (change) => change.islandId === islandId;
const roomUrl = (name) => `${edge.http.replace("http", "ws")}/rooms/${name}`;

before(async () => {
  edge = await startEdge({ ATOLL_ROOMS__RULES: "world-* open" });
  scope.after(edge.stop);
  chromium = await startChromium();
  scope.after(chromium.stop);
  page = await openSummerPage(scope, chromium);
  tab = await TabRoom.open(chromium, edge, HERE[0]);
  await tab.tab.untilMembers([tab.address]);
  islandId = (await tab.seat())?.name;

  const open = async (name, kernel) => {
    sessions[name] = await kernelSession(scope, edge, kernel, await newIdentity(), HERE);
    return sessions[name].island(isHere);
  };
  for (const name of ["june", "july"]) {
    const change = await open(name, KERNEL_2022);
    rooms[name] = await SummerRoom.enter(page, sessions[name].identity.address, change);
  }
  const { connStr } = await open("autumn", KERNEL_2023);
  rooms.autumn = await Rfc5Room.byString(scope, connStr, sessions.autumn.identity);
  // Generation 2b goes without a token: it signs for itself.
  sessions.modern = await explorerSession(scope, edge, await newIdentity(), HERE);
  await sessions.modern.island(isHere);
  rooms.modern = await Rfc5Room.enter(scope, roomUrl(islandId), sessions.modern.identity);
  walker = startWalker(scope, edge, { updatesPerSecond: 5, linesPerMinute: 120 });
}, { timeout: TIMEOUT });

after(async () => {
  for (const end of ends.reverse()) await end();
}, { timeout: TIMEOUT });

test("all sit in one room, and everybody is told who is there, by the same aliases", { timeout: TIMEOUT }, async () => {
  const known = company().addresses;
  const strangers = async () => Object.values(await tab.others()).filter((address) => !known.includes(address));
  await until(async () => (await strangers()).length === 1, "no walker");
  [walkerAddress] = await strangers();
  await company().isTogether(walkerAddress);

  // Kernels' aliases begin with 1, and those of native clients with 0.
  const everybody = (await tab.seat()).members.map(({ alias, name }) => [alias + 1, name]);
  for (const room of Object.values(rooms)) {
    const others = everybody.filter(([, name]) => name !== room.address);
    assert.deepEqual(await room.others(), Object.fromEntries(others));
  }
  const aliasOf = (member) => everybody.find(([, name]) => name === member.address)[0];
  assert.deepEqual([rooms.autumn.alias, rooms.modern.alias], [rooms.autumn, rooms.modern].map(aliasOf));
  assert.equal((await tab.tab.state()).way, "webtransport");
  assert.deepEqual(await rooms.june.state(), { name: "ws", disconnected: 0, code: null });
  assert.deepEqual([rooms.autumn.wasChallenged, rooms.modern.wasChallenged], [false, true]);
  assert.deepEqual([rooms.autumn.protocol, rooms.modern.protocol], ["rfc5", "rfc5"]);
});

test("ordered messages come once, in the order of saying them", { timeout: TIMEOUT }, async () => {
  await company().exchange(200);
});

test("of places the newest comes, and none twice or late", { timeout: TIMEOUT }, async () => {
  await company().move(40);
  const isWalkerHeard = ({ ledger }) => ledger.of(walkerAddress, "update").length > 10;
  await company().hears(() => company().members.every(isWalkerHeard), "the walker");
  for (const { ledger } of [tab, rooms.autumn, rooms.modern]) assertRising(ledger.of(walkerAddress, "update"), "the walker");
});

test("events and speech come at most once, and what a generation has no words for is not heard there", { timeout: TIMEOUT }, async () => {
  const { pairs } = company();
  for (const member of [tab, rooms.autumn, rooms.modern]) await member.say("event", 10);
  await company().say("voice", 10);
  await company().say("request", 5);
  const hasAll = (sort) => ({ listener, speaker }) => listener.ledger.of(speaker.address, sort).length >= speaker.said[sort];
  const [own, reliable] = [pairs.filter(isWithinGeneration), pairs.filter(isReliable)];
  const isHeard = () =>
    own.every(hasAll("request")) && own.filter(isReliable).every(hasAll("voice")) && reliable.every(hasAll("event"));
  await company().hears(isHeard, "what cannot be lost on TCP");
  await company().exchange(10);
  for (const { listener, speaker } of pairs.filter((pair) => !isWithinGeneration(pair))) {
    for (const sort of ["voice", "request"]) assert.deepEqual(listener.ledger.of(speaker.address, sort), []);
  }
});

test("a client on raw QUIC hears as many as were said, is heard, and leaves", { timeout: TIMEOUT }, async () => {
  // All that was sent to native clients is acknowledged.
  const kept = async () => (await (await fetch(`${edge.http}/status`)).json()).native.lanes.kept_bytes;
  await until(async () => (await kept()) === 0, "not acknowledged");
  const { chatReceived, chatSent, doors, failures, received, restarted } = await walker.stop();
  assert.deepEqual({ doors, failures, restarted }, { doors: { quic: 1 }, failures: {}, restarted: 0 });
  const said = (sort, speakers) => speakers.reduce((sum, speaker) => sum + speaker.said[sort], 0);
  assert.equal(chatReceived, said("ordered", company().members) + said("request", [rooms.autumn, rooms.modern, tab]));
  assert.ok(received > 40, `${received} packets`);
  await company().isTogether();
  const lines = ({ ledger }) => ledger.of(walkerAddress, "chat").length;
  await company().hears(() => company().members.every((member) => lines(member) >= chatSent), "all of the walker's lines");
  assert.deepEqual(company().members.map(lines), company().members.map(() => chatSent));
});

test("a second connection of a session takes over its seat in silence", { timeout: TIMEOUT }, async () => {
  const { june, autumn, modern } = rooms;
  const before = { aliases: await tab.others(), joins: [...modern.joins], leaves: [...modern.leaves] };
  const changes = { autumn: await sessions.autumn.island(isHere), june: await sessions.june.island(isHere) };
  // In the middle of talk, of which nothing is lost.
  const talk = (async () => {
    const others = new Company(tab, rooms.july, modern);
    for (let round = 0; round < 50; round++) await others.say("ordered", 4);
  })();
  await autumn.say("ordered", 30);
  rooms.autumn = await Rfc5Room.byString(scope, changes.autumn.connStr, sessions.autumn.identity, autumn);
  await rooms.autumn.say("ordered", 30);
  await june.say("ordered", 30);
  rooms.june = await SummerRoom.enter(page, june.address, changes.june, june);
  await rooms.june.say("ordered", 30);
  await talk;
  assert.equal(rooms.autumn.alias, autumn.alias);
  assert.equal(await within(autumn.closed, "the first socket stays open"), 1000);
  assert.equal(autumn.kicked, null);
  await until(async () => (await june.state()).disconnected === 1, "the first transport stays connected");
  assert.equal((await june.state()).code, 1000);

  await company().exchange(5);
  await company().isTogether();
  assert.deepEqual({ aliases: await tab.others(), joins: modern.joins, leaves: modern.leaves }, before);
});

test("another session of an address kicks the first out of its room", { timeout: TIMEOUT }, async () => {
  const { july, modern } = rooms;
  const { identity } = sessions.modern;
  const former = sessions.modern;
  // Last words: they are counted on.
  for (const room of [july, modern]) await room.say("ordered", 30);
  sessions.modern = await explorerSession(scope, edge, identity, HERE);
  await sessions.modern.island(isHere);
  await replace("modern", Rfc5Room.enter(scope, roomUrl(islandId), identity));
  assert.deepEqual(await former.kicked(), { reason: 0 });
  assert.equal(await within(modern.closed, "the first socket stays open"), 1000);
  assert.ok(modern.kicked, "a reason is due");

  sessions.july = await kernelSession(scope, edge, KERNEL_2022, sessions.july.identity, HERE);
  await replace("july", SummerRoom.enter(page, july.address, await sessions.july.island(isHere)));
  await until(async () => (await july.state()).disconnected === 1, "the first transport stays connected");
  // Generation 1 has no word for it.
  assert.equal((await july.state()).code, 1000);

  await company().isTogether();
  await company().exchange(5);
  for (const room of [rooms.autumn, rooms.modern]) assert.equal(room.kicked, null);
});

test("who walks away is told another room, and keeps the former until it leaves it", { timeout: TIMEOUT }, async () => {
  const { june, july, autumn, modern } = rooms;
  await sessions.autumn.move(...FAR);
  const change = await sessions.autumn.island((change) => change.fromIslandId === islandId);
  assert.match(change.connStr, /^ws-room:ws:.*\/rooms\//);
  const autumnAway = await Rfc5Room.byString(scope, change.connStr, sessions.autumn.identity);
  assert.deepEqual(await autumnAway.others(), {});

  await sessions.june.move(...FAR);
  const next = await sessions.june.island(({ islandId }) => islandId === change.islandId);
  assert.match(next.connStr, /^ws-room:ws:.*\/ws-rooms\//);
  const juneAway = await SummerRoom.enter(page, june.address, next);
  const away = new Company(autumnAway, juneAway);
  await away.isTogether();
  assert.deepEqual(autumnAway.joins, [june.address]);

  // Both are in both, and neither was kicked.
  await company().exchange(5);
  assert.deepEqual([autumn.isOpen, autumn.kicked], [true, null]);
  assert.deepEqual(await june.state(), { name: "ws", disconnected: 0, code: null });
  await away.exchange(5);

  await autumn.leave();
  delete rooms.autumn;
  await company().isTogether();
  await june.leave();
  delete rooms.june;
  await company().isTogether();
  assert.deepEqual(modern.leaves.slice(-2), [autumn.address, june.address]);
  await company().exchange(5);
  for (const member of away.members) assert.deepEqual(member.ledger.of(july.address, "ordered"), []);

  // The tab follows.
  await tab.move(...FAR);
  await until(async () => (await tab.seat())?.name === change.islandId, "the tab stays behind");
  const all = new Company(tab, ...away.members);
  await all.isTogether();
  all.beginAnew();
  await new Company(july, modern).isTogether();
  await all.exchange(5);
});

test("in a World's room, which is no island, a tab and kernels are among themselves", { timeout: TIMEOUT }, async () => {
  const home = (await tab.seat())?.name;
  const enter = async (name, identity = undefined) => Rfc5Room.enter(scope, roomUrl(name), identity ?? (await newIdentity()));
  // Without a session: two prove their addresses, the third is sent there by its signed login.
  const [ann, bob, visitor] = [await enter("world-green"), await enter("world-green"), await newIdentity()];
  const answer = await signedFetch(visitor, `${edge.http}/signed-login/world-green`, HANDSHAKE);
  const clohe = await Rfc5Room.byString(scope, (await answer.json()).fixedAdapter, visitor);
  assert.deepEqual([ann, bob, clohe].map(({ wasChallenged }) => wasChallenged), [true, true, false]);
  const elsewhere = new Company(await enter("world-red", ann.identity), await enter("world-red"));
  await tab.joinRoom(`ws-room:${roomUrl("world-green")}`);
  await until(async () => (await tab.seat())?.name === "world-green", "the tab does not enter");
  const world = new Company(tab, ann, bob, clohe);
  await world.isTogether();
  await elsewhere.isTogether();
  world.beginAnew();
  await world.exchange(30);
  await world.move(10);
  await elsewhere.exchange(5);

  // The same address again: in this room only.
  const again = await enter("world-green", ann.identity);
  assert.equal(await within(ann.closed, "the first socket stays open"), 1000);
  assert.ok(ann.kicked, "a reason is due");
  const changed = new Company(tab, again, bob, clohe);
  await changed.isTogether();
  changed.beginAnew();
  await changed.exchange(5);
  await elsewhere.isTogether();
  await elsewhere.exchange(5);
  assert.deepEqual([bob.kicked, clohe.kicked, ...elsewhere.members.map(({ kicked }) => kicked)], [null, null, null, null]);

  // Last words are heard, however abruptly it ends.
  await bob.say("ordered", 20);
  bob.drop();
  const rest = new Company(tab, again, clohe);
  await rest.isTogether();
  const words = Array.from({ length: 20 }, (_, index) => bob.said.ordered - 19 + index);
  const last = ({ ledger }) => ledger.of(bob.address, "ordered").slice(-20);
  await rest.hears(() => rest.members.every((member) => last(member).at(-1) === words.at(-1)), "last words");
  for (const member of rest.members) assert.deepEqual(last(member), words);

  await tab.leaveRoom();
  await until(async () => (await tab.seat())?.name === home, "the tab does not come back");
  await new Company(again, clohe).isTogether();
  assert.deepEqual(clohe.leaves.slice(-2), [bob.address, tab.address]);
});

test("nobody heard what should not have come", { timeout: TIMEOUT }, async () => {
  assert.deepEqual(complaints, []);
  assert.deepEqual(await tab.trouble(), { lastError: null, gaps: 0, refusals: [], droppedMalformed: 0, droppedMessages: 0 });
  assert.deepEqual(chromium.complaints, []);
  const { kernels } = await (await fetch(`${edge.http}/status`)).json();
  const { dropped, refused, unread } = kernels.ws_room_packets;
  assert.deepEqual({ dropped, refused, unread }, { dropped: 0, refused: 0, unread: 0 });
});

/** Puts another client of the same peer into the company, which goes on counting where the former stopped. */
async function replace(name, entering) {
  const [former, next] = [rooms[name], await entering];
  rooms[name] = next;
  next.goOnFrom(former);
  next.listenTo(company().members);
}
