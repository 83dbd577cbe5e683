// LiveKit's clients in named rooms, by tokens of whoever knows the key, and what becomes of them and of islands when the edge is
// killed and started again. Runs behind tests/browser's install.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { startChromium } from "../browser/chromium.mjs";
import { startEdge } from "../browser/edge.mjs";
import { startTcpProxy } from "../browser/udp-proxy.mjs";
import { Company } from "./company.mjs";
import { KERNEL_2023, newIdentity, until, within } from "./kernel.mjs";
import { NodeRoom, disposeNodeRooms } from "./livekit_node_room.mjs";
import { FirstRoom, SecondRoom, TransportRoom, openLivekitPage, openLivekitPageWithoutUdp } from "./livekit_page_room.mjs";
import { REASON } from "./livekit_room.mjs";
import { WITH_LIVEKIT, mintToken, stringWith } from "./livekit_token.mjs";
import { Rfc5Room } from "./rfc5_room.mjs";
import { complaints } from "./room_member.mjs";
import { explorerSession, kernelSession } from "./room_session.mjs";
import { TabRoom } from "./tab_room.mjs";

const TIMEOUT = 120_000;
const CLIENTS = { transport: TransportRoom, first: FirstRoom, second: SecondRoom, node: NodeRoom };
/** How long a client may take to come back: it waits longer each time that nobody answers. */
const RETURN_MS = 40_000;
/** Each asks to come in, and then why not. */
const ATTEMPTS = 3;

/** What ends with the suite, the last first. */
const ends = [];
const scope = { after: (end) => ends.push(end) };

let edge;
let chromium;
let page;

before(async () => {
  scope.after(disposeNodeRooms);
  edge = await startEdge({ ...WITH_LIVEKIT, ATOLL_ROOMS__RULES: "world-* open" });
  scope.after(edge.stop);
  chromium = await startChromium();
  scope.after(chromium.stop);
  page = await openLivekitPage(scope, chromium);
}, { timeout: TIMEOUT });

after(async () => {
  for (const end of ends.reverse()) await end();
}, { timeout: TIMEOUT });

const newAddress = async () => (await newIdentity()).address;

/** Enters by a string. */
async function enter(Room, address, string, options = {}) {
  const room = await Room.at(address, string, { page, ...options });
  return room.enter(scope);
}

/** Enters a named room by a token that was made for it. */
function enterNamed(Room, room, identity, { grants, ...options } = {}) {
  return enter(Room, identity, stringWith(edge, mintToken({ identity, room, grants })), options);
}

const REFUSED = {
  "an expired token": (identity) => mintToken({ identity, room: "world-green", seconds: -1 }),
  "a token for no room": (identity) => mintToken({ identity, room: "" }),
  "a token that grants no room": (identity) => mintToken({ identity, room: "world-green", grants: { roomJoin: false } }),
  "a token of another key": (identity) => mintToken({ identity, room: "world-green", key: "others" }),
  "a token with another secret": (identity) => mintToken({ identity, room: "world-green", secret: "guessed" }),
  "no token": () => null,
};

test("whoever has no token that holds is refused at once, and that is final", { timeout: TIMEOUT }, async () => {
  for (const [what, token] of Object.entries(REFUSED)) {
    // Chromium delays its WebSockets where many have failed, so not every client tries everything.
    const names = what === "an expired token" ? Object.keys(CLIENTS) : ["second", "node"];
    for (const name of names) {
      const identity = await newAddress();
      await isRefused(`${name} with ${what}`, CLIENTS[name], identity, stringWith(edge, token(identity)));
    }
  }
});

test("a token that names an address that is taken ends the first, which does not come back", { timeout: TIMEOUT }, async () => {
  const identity = await newAddress();
  const witness = await enterNamed(SecondRoom, "world-red", await newAddress());
  let former = null;
  for (const Room of [...Object.values(CLIENTS), FirstRoom]) {
    const room = await enterNamed(Room, "world-red", identity);
    await new Company(room, witness).isTogether();
    if (former) {
      await former.sees(() => former.state.state === "disconnected", "its end");
      assert.deepEqual(former.told("disconnected"), [REASON.duplicateIdentity]);
    }
    former = room;
  }
  await former.leave();
  await new Company(witness).isTogether();
  await witness.leave();
});

test("a token grants what it says, and no more", { timeout: TIMEOUT }, async () => {
  const rooms = {};
  const open = async (name, Room, grants) => (rooms[name] = await enterNamed(Room, "world-blue", await newAddress(), { grants }));
  await open("speaker", FirstRoom);
  await open("listener", NodeRoom);
  await open("silent", SecondRoom, { canPublishData: false });
  await open("hidden", NodeRoom, { hidden: true });
  const seen = new Company(rooms.speaker, rooms.listener, rooms.silent);
  await seen.isTogether();
  await rooms.silent.say("ordered", 5).catch(() => {});
  await new Company(rooms.speaker, rooms.listener).exchange(20);
  for (const { ledger } of [rooms.speaker, rooms.listener]) assert.deepEqual(ledger.of(rooms.silent.address, "ordered"), []);
  const all = Array.from({ length: 20 }, (_, index) => index + 1);
  for (const member of [rooms.silent, rooms.hidden]) {
    const heard = () => member.ledger.of(rooms.speaker.address, "ordered");
    await member.sees(() => heard().length >= all.length, "what others say");
    assert.deepEqual(heard(), all);
  }
  for (const room of Object.values(rooms)) await room.leave();
});

test("whoever's network passes no UDP comes by TCP", { timeout: TIMEOUT }, async () => {
  const behind = await openLivekitPageWithoutUdp(scope, chromium);
  const rooms = [await enterNamed(NodeRoom, "world-yellow", await newAddress())];
  for (const Room of [TransportRoom, FirstRoom, SecondRoom]) {
    rooms.push(await enterNamed(Room, "world-yellow", await newAddress(), { page: behind }));
  }
  const company = new Company(...rooms);
  await company.isTogether();
  await company.exchange(100);
  await company.move(5);
  // Two for each client but the newest.
  assert.deepEqual(await behind.evaluate(() => window.protocols()), ["tcp", "tcp", "tcp", "tcp", "tcp"]);
  for (const room of rooms) await room.leave();
});

test("a killed edge: clients come back into a named room, and out of islands they are sent anew", { timeout: TIMEOUT }, async () => {
  const green = {};
  for (const [name, Room] of Object.entries(CLIENTS)) green[name] = await enterNamed(Room, "world-green", await newAddress());
  const url = `${edge.http.replace("http", "ws")}/rooms/world-green`;
  const kernel = await newIdentity();
  const tab = await TabRoom.open(chromium, edge, 0);
  await tab.joinRoom(`ws-room:${url}`);
  await until(async () => (await tab.seat())?.name === "world-green", "the tab does not enter");
  const world = new Company(tab, await Rfc5Room.enter(scope, url, kernel), ...Object.values(green));
  await world.isTogether();
  await world.exchange(10);
  const islanders = await openIsland();
  await new Company(...islanders.map(({ room }) => room)).exchange(10);

  await edge.restart();
  for (const room of Object.values(green)) {
    const isBack = () => room.told("reconnected").length > 0 && room.state.state === "connected";
    await room.sees(isBack, "the edge again", RETURN_MS);
    assert.deepEqual(room.told("disconnected"), []);
  }
  const again = await Rfc5Room.enter(scope, url, kernel);
  const isRestarted = async () => (await tab.tab.state()).heard.events.some((event) => event.startsWith("restarted"));
  await until(isRestarted, "the tab does not come back");
  await until(async () => (await tab.seat())?.name === "world-green", "the tab does not enter again");
  const restored = new Company(tab, again, ...Object.values(green));
  await restored.isTogether();
  restored.beginAnew();
  await restored.exchange(20);
  await restored.move(5);

  // The island is gone, and so is what its tokens were for.
  for (const { room, string, name, session } of islanders) {
    await isRefused(name, CLIENTS[name], session.identity.address, string);
    await room.refresh();
    assert.deepEqual(room.told("reconnected"), [], `${name} comes back`);
    await room.leave();
  }
  const settlers = await openIsland(islanders);
  assert.notEqual(settlers[0].island, islanders[0].island);
  await new Company(...settlers.map(({ room }) => room)).exchange(10);
});

test("nobody heard what should not have come", { timeout: TIMEOUT }, async () => {
  assert.deepEqual(complaints, []);
});

/** Sessions that stand far from everything else, and their clients in one island; of the same peers as `former`. */
async function openIsland(former = []) {
  const islanders = [];
  for (const [index, name] of ["first", "second", "node"].entries()) {
    const identity = former[index]?.session.identity ?? (await newIdentity());
    const place = [-3000, -3000];
    const session =
      name === "first"
        ? await kernelSession(scope, edge, KERNEL_2023, identity, place)
        : await explorerSession(scope, edge, identity, place);
    const isHere = ({ islandId }) => index === 0 || islandId === islanders[0].island;
    const { connStr: string, islandId: island } = await session.island(isHere);
    const room = await enter(CLIENTS[name], identity.address, string);
    islanders.push({ name, session, string, island, room });
  }
  await new Company(...islanders.map(({ room }) => room)).isTogether();
  return islanders;
}

/** Tries to enter by a string, once, and counts how often the client asks. */
async function isRefused(what, Room, address, string) {
  const proxy = await startTcpProxy(Number(new URL(edge.http).port));
  const statuses = [];
  const note = (response) => {
    if (new URL(response.url()).pathname.endsWith("/validate")) statuses.push(response.status());
  };
  page.on("response", note);
  try {
    const room = await Room.at(address, string.replace(new URL(edge.http).host, `127.0.0.1:${proxy.port}`), { page });
    const refusal = await within(room.connect(), `${what} is not refused`);
    assert.ok(refusal, `${what} is let in`);
    if (Room === NodeRoom) {
      assert.match(refusal.message, /40[13]/);
    } else {
      // Only the newest tells its caller why; all ask.
      await until(() => statuses.length > 0, `${what} does not ask why`);
      for (const status of statuses) assert.ok([401, 403].includes(status), `${what}: ${statuses}`);
    }
    if (Room === SecondRoom) assert.deepEqual([refusal.reason, refusal.status], [0, statuses[0]]);
    await room.refresh();
    assert.equal(room.state.state, "disconnected");
    assert.ok(proxy.counts.opened <= ATTEMPTS, `${what}: ${proxy.counts.opened} connections`);
  } finally {
    page.off("response", note);
    await proxy.stop();
  }
}
