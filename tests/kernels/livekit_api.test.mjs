// Programs that govern rooms with LiveKit's own server SDK, and hear webhooks by its receiver, against a real edge: with a LiveKit
// client and a kernel of RFC-5 in the room. Runs behind tests/browser's install.
import assert from "node:assert/strict";
import { createServer } from "node:http";
import { once } from "node:events";
import { after, before, test } from "node:test";
import { DataPacket_Kind, EgressClient, RoomServiceClient, WebhookReceiver } from "livekit-server-sdk";
import { DisconnectReason, Room, RoomEvent, dispose } from "@livekit/rtc-node";
import { startEdge } from "../browser/edge.mjs";
import { newIdentity, until, within } from "./kernel.mjs";
import { WITH_LIVEKIT, mintToken } from "./livekit_token.mjs";
import { Rfc5Room } from "./rfc5_room.mjs";

const TIMEOUT = 60_000;
const ROOM = "world-api";
const KEY = WITH_LIVEKIT.ATOLL_LIVEKIT__API_KEY;
const SECRET = WITH_LIVEKIT.ATOLL_LIVEKIT__API_SECRET;

/** What ends with the suite, the last first. */
const ends = [];
const scope = { after: (end) => ends.push(end) };

let edge;
let hooks;
let service;

before(async () => {
  scope.after(dispose);
  hooks = await startReceiver();
  scope.after(hooks.stop);
  const urls = { ATOLL_LIVEKIT__WEBHOOK_URLS: hooks.url, ATOLL_ROOMS__RULES: "world-* open" };
  edge = await startEdge({ ...WITH_LIVEKIT, ...urls });
  scope.after(edge.stop);
  service = new RoomServiceClient(edge.http, KEY, SECRET);
}, { timeout: TIMEOUT });

after(async () => {
  for (const end of ends.reverse()) await end();
}, { timeout: TIMEOUT });

/** A server that takes webhooks as the SDK's own examples do: it keeps what the receiver verified, and what it did not. */
async function startReceiver() {
  const receiver = new WebhookReceiver(KEY, SECRET);
  const stranger = new WebhookReceiver(KEY, "a secret of nobody at all");
  const events = [];
  const failures = [];
  const server = createServer(async (request, response) => {
    let body = "";
    for await (const chunk of request.setEncoding("utf8")) body += chunk;
    try {
      assert.equal(request.headers["content-type"], "application/webhook+json");
      const { authorization } = request.headers;
      events.push(await receiver.receive(body, authorization));
      await assert.rejects(stranger.receive(body, authorization));
      await assert.rejects(receiver.receive(`${body} `, authorization), /sha256/);
    } catch (error) {
      failures.push(error);
    }
    response.writeHead(200).end();
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const stop = () => new Promise((resolve) => server.close(resolve));
  return { url: `http://127.0.0.1:${server.address().port}/hook`, events, failures, stop };
}

/** The events of one room so far, each with whose it is. */
const told = (room) =>
  hooks.events.filter((event) => event.room?.name === room).map((event) => `${event.event} ${event.participant?.identity ?? ""}`.trim());

/** A LiveKit client in a room. */
async function enterLivekit(name) {
  const { address } = await newIdentity();
  const room = new Room();
  const heard = [];
  const disconnected = new Promise((resolve) => room.once(RoomEvent.Disconnected, resolve));
  room.on(RoomEvent.DataReceived, (payload, from, _kind, topic) => heard.push({ text: Buffer.from(payload).toString(), from, topic }));
  await room.connect(edge.http.replace("http", "ws"), mintToken({ identity: address, room: name }), { autoSubscribe: true, dynacast: false });
  scope.after(() => room.disconnect());
  return { address, room, heard, disconnected };
}

/** A kernel in a room. */
async function enterKernel(name) {
  return Rfc5Room.enter(scope, `${edge.http.replace("http", "ws")}/rooms/${name}`, await newIdentity());
}

const refusal = (status, code) => (error) => {
  assert.equal(error.status, status, String(error));
  assert.equal(error.code, code, String(error));
  return true;
};

test("each call of the room service does what it says, and every event is told", { timeout: TIMEOUT }, async () => {
  const made = await service.createRoom({ name: ROOM, metadata: "first", emptyTimeout: 60 });
  assert.deepEqual([made.name, made.metadata, made.emptyTimeout, made.numParticipants], [ROOM, "first", 60, 0]);
  const client = await enterLivekit(ROOM);
  const kernel = await enterKernel(ROOM);
  assert.equal(client.room.metadata, "first");

  const rooms = await service.listRooms([ROOM, "nowhere"]);
  assert.deepEqual(rooms.map(({ name, numParticipants }) => [name, numParticipants]), [[ROOM, 2]]);
  assert.ok((await service.listRooms()).some(({ name }) => name === ROOM));
  const participants = await service.listParticipants(ROOM);
  assert.deepEqual(participants.map(({ identity }) => identity), [client.address, kernel.address]);
  assert.equal((await service.getParticipant(ROOM, kernel.address)).identity, kernel.address);

  const updated = await service.updateParticipant(ROOM, client.address, { name: "Ann", metadata: "m", attributes: { a: "1" } });
  assert.deepEqual([updated.name, updated.metadata, updated.attributes], ["Ann", "m", { a: "1" }]);
  await until(() => client.room.localParticipant.name === "Ann", "its own client is not told of the name");
  assert.equal((await service.updateRoomMetadata(ROOM, "second")).metadata, "second");
  await until(() => client.room.metadata === "second", "the client is not told of the room's metadata");

  const data = Buffer.from("to all of you");
  await service.sendData(ROOM, data, DataPacket_Kind.RELIABLE, { topic: "news" });
  await until(() => client.heard.length === 1, "the client does not hear");
  assert.deepEqual([client.heard[0].text, client.heard[0].from, client.heard[0].topic], ["to all of you", undefined, "news"]);
  await service.sendData(ROOM, Buffer.from("to nobody"), DataPacket_Kind.LOSSY, { destinationIdentities: ["0x0"] });
  await service.sendData(ROOM, Buffer.from("to one"), DataPacket_Kind.RELIABLE, { destinationIdentities: [client.address] });
  await until(() => client.heard.length === 2, "the client does not hear what is for it");
  assert.equal(client.heard[1].text, "to one");

  // As Decentraland's gatekeeper mutes somebody.
  const muted = await service.updateParticipant(ROOM, client.address, undefined, { canPublishSources: [] });
  assert.equal(muted.permission.canPublish, false);

  await service.removeParticipant(ROOM, kernel.address);
  assert.equal(await within(kernel.closed, "the kernel stays"), 1008);
  assert.match(kernel.kicked ?? "", /removed/);
  await service.removeParticipant(ROOM, client.address);
  assert.equal(await within(client.disconnected, "the client stays"), DisconnectReason.PARTICIPANT_REMOVED);
  const witness = await enterLivekit(ROOM);
  await service.deleteRoom(ROOM);
  assert.equal(await within(witness.disconnected, "the last client stays"), DisconnectReason.ROOM_DELETED);
  assert.deepEqual(await service.listRooms([ROOM]), []);

  const expected = [
    "room_started",
    `participant_joined ${client.address}`,
    `participant_joined ${kernel.address}`,
    `participant_left ${kernel.address}`,
    `participant_left ${client.address}`,
    `participant_joined ${witness.address}`,
    `participant_left ${witness.address}`,
    "room_finished",
  ];
  await until(() => told(ROOM).length >= expected.length, "not every event was told");
  assert.deepEqual(told(ROOM), expected);
  assert.deepEqual(hooks.failures, []);
  const joined = hooks.events.find(({ event }) => event === "participant_joined");
  assert.ok(joined.id && joined.createdAt > 0n && joined.participant.sid.startsWith("PA_"), joined.toJsonString());
});

test("what is not served, and who may not, is told as LiveKit tells it", { timeout: TIMEOUT }, async () => {
  const client = await enterLivekit("world-refused");
  await assert.rejects(service.mutePublishedTrack("world-refused", client.address, "TR_x", true), refusal(501, "unimplemented"));
  await assert.rejects(new EgressClient(edge.http, KEY, SECRET).listEgress(), refusal(501, "unimplemented"));
  await assert.rejects(service.listParticipants("nowhere"), refusal(404, "not_found"));
  await assert.rejects(service.removeParticipant("world-refused", "nobody"), refusal(404, "not_found"));
  const stranger = new RoomServiceClient(edge.http, KEY, "a secret of nobody at all");
  await assert.rejects(stranger.listRooms(), refusal(401, "unauthenticated"));
  const token = mintToken({ identity: client.address, room: "world-refused" });
  const answer = await fetch(`${edge.http}/twirp/livekit.RoomService/ListRooms`, {
    method: "POST",
    headers: { "content-type": "application/json", authorization: `Bearer ${token}` },
    body: "{}",
  });
  assert.deepEqual([answer.status, (await answer.json()).code], [403, "permission_denied"]);
});
