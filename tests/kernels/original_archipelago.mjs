// What archipelago-service did in 2022, and archipelago-workers since 2023: groups peers whose heartbeats it hears on NATS, and
// tells them of their islands there. How it groups is simplified, and whoever falls silent stays.
import { createRequire } from "node:module";
import { join } from "./nats_server.mjs";

const require = createRequire(import.meta.url);
const protobuf = require("protobufjs/minimal");
const of2022 = require("protocol-2022/out-js/decentraland/kernel/comms/v3/archipelago.gen.js");
const heartbeat2022 = require("protocol-2022/out-js/decentraland/bff/comms_director_service.gen.js").Heartbeat;
const of2023 = require("@dcl/protocol/out-js/decentraland/kernel/comms/v3/archipelago.gen.js");

const JOIN_DISTANCE = 64;
const LEAVE_DISTANCE = 80;
const MAX_PEERS = 100;

const SERVICE_2022 = {
  heartbeats: "client-proto.peer.*.heartbeat",
  peerOfHeartbeat: (subject) => subject.split(".")[2],
  codec: of2022,
  changed: (peer) => `client-proto.${peer}.island_changed`,
  neighbours: (island) => `client-proto.island.${island}`,
  islands: "archipelago.islands",
  discovery: "service.discovery",
  presence: (currentTime, commitHash) => JSON.stringify({ serverName: "archipelago", status: { currentTime, commitHash } }),
};

/** Until the beginning of October 2022: doubles everywhere. */
export const SUMMER_2022 = {
  ...SERVICE_2022,
  positionOf: (heartbeat) => {
    const reader = protobuf.Reader.create(heartbeat);
    return reader.uint32() >>> 3 === 1 ? of2022.Position3DMessage.decode(reader, reader.uint32()) : undefined;
  },
};

/** From then to April 2023: heartbeats with floats, islands with doubles. */
export const WINTER_2022 = { ...SERVICE_2022, positionOf: (heartbeat) => heartbeat2022.decode(heartbeat).position };

/** archipelago-workers: subjects of their own, floats, and nobody hears of neighbours. */
export const WORKERS = {
  heartbeats: "peer.*.heartbeat",
  peerOfHeartbeat: (subject) => subject.split(".")[1],
  positionOf: (heartbeat) => of2023.Heartbeat.decode(heartbeat).position,
  codec: of2023,
  changed: (peer) => `engine.peer.${peer}.island_changed`,
  neighbours: undefined,
  islands: "engine.islands",
  discovery: "engine.discovery",
  presence: (currentTime, commitHash, userCount) => {
    const message = protobuf.Writer.create();
    const status = message.uint32(10).string("archipelago").uint32(18).fork();
    status.uint32(8).uint64(currentTime).uint32(18).string(commitHash).uint32(24).uint32(userCount);
    return status.ldelim().finish();
  },
};

/**
 * Starts one of an age: `{ peers, islands, trouble, stop }`, of which `trouble` has what it could not read. `connectionString`
 * writes those of its islands, for each peer; times are in milliseconds.
 */
export async function startOriginalArchipelago(nats, age, { connectionString, commitHash, flush = 250, presence = 500 }) {
  const bus = await join(nats, "original archipelago");
  const groups = new Groups();
  const trouble = [];
  const hear = (subject, act) =>
    bus.subscribe(subject, {
      callback: (error, message) => {
        if (error) return;
        try {
          act(message);
        } catch (reason) {
          trouble.push(`${message.subject}: ${reason}`);
        }
      },
    });
  hear(age.heartbeats, ({ subject, data }) => {
    const position = age.positionOf(data);
    if (!position) throw new Error("no position");
    groups.stand(age.peerOfHeartbeat(subject), position);
  });
  const forget = ({ subject }) => groups.remove(subject.split(".")[1]);
  hear("peer.*.connect", forget);
  hear("peer.*.disconnect", forget);

  const { IslandChangedMessage, IslandStatusMessage, JoinIslandMessage, LeftIslandMessage } = age.codec;
  const tellNeighbours = (islandId, what, codec, peerId) => {
    const subject = age.neighbours?.(islandId);
    if (subject) bus.publish(`${subject}.${what}`, codec.encode({ islandId, peerId }).finish());
  };
  const publish = ([peerId, { island, from, left }]) => {
    if (left) return tellNeighbours(left, "peer_left", LeftIslandMessage, peerId);
    const peers = Object.fromEntries(island.peers.map((peer) => [peer, groups.peers.get(peer).position]));
    const change = { islandId: island.id, connStr: connectionString(island.id, peerId), fromIslandId: from, peers };
    bus.publish(age.changed(peerId), IslandChangedMessage.encode(change).finish());
    tellNeighbours(island.id, "peer_join", JoinIslandMessage, peerId);
  };
  const tellIslands = () => {
    const center = { x: 0, y: 0, z: 0 };
    const data = [...groups.islands].map(({ id, peers }) => ({ id, peers, maxPeers: MAX_PEERS, center, radius: 0 }));
    bus.publish(age.islands, IslandStatusMessage.encode({ data }).finish());
  };
  const tellPresence = () => bus.publish(age.discovery, age.presence(Date.now(), commitHash, groups.peers.size));

  const timers = [
    setInterval(() => {
      groups.flush().forEach(publish);
      tellIslands();
    }, flush),
    setInterval(tellPresence, presence),
  ];
  return {
    peers: groups.peers,
    islands: groups.islands,
    trouble,
    async stop() {
      timers.forEach(clearInterval);
      await bus.close();
    },
  };
}

/** Peers by the islands they are in: who comes within one distance joins, who goes beyond the other leaves. */
class Groups {
  peers = new Map();
  islands = new Set();
  #news = new Map();
  #created = 0;

  stand(id, position) {
    const known = this.peers.get(id);
    this.peers.set(id, { ...known, position });
  }

  remove(id) {
    const island = this.peers.get(id)?.island;
    this.peers.delete(id);
    if (!island) return;
    island.peers = island.peers.filter((peer) => peer !== id);
    if (island.peers.length === 0) this.islands.delete(island);
    this.#news.set(id, { left: island.id });
  }

  /** Groups anew, and returns what is new for each peer, in order: the island it is in, or the one it left. */
  flush() {
    for (const [id, { island }] of this.peers) if (!island) this.#create([id]);
    for (const island of [...this.islands]) this.#split(island);
    // By age: whoever is absorbed is behind in the order, so it is not met again.
    for (const island of this.islands) this.#absorb(island);
    const news = [...this.#news];
    this.#news.clear();
    return news;
  }

  #split(island) {
    const groups = [];
    for (const id of island.peers) {
      const near = groups.filter((group) => group.some((other) => this.#areWithin(LEAVE_DISTANCE, id, other)));
      const group = near.length === 0 ? groups[groups.push([]) - 1] : near[0];
      group.push(id, ...near.slice(1).flat());
      for (const merged of near.slice(1)) groups.splice(groups.indexOf(merged), 1);
    }
    const [largest, ...others] = groups.sort((one, other) => other.length - one.length);
    island.peers = largest;
    for (const group of others) this.#create(group);
  }

  #absorb(island) {
    const isNear = ({ peers }) => peers.some((id) => island.peers.some((own) => this.#areWithin(JOIN_DISTANCE, id, own)));
    const next = () =>
      [...this.islands].find(
        (other) => other !== island && other.peers.length + island.peers.length <= MAX_PEERS && isNear(other),
      );
    for (let other = next(); other; other = next()) {
      this.islands.delete(other);
      this.#enter(island, other.peers);
      island.peers = [...island.peers, ...other.peers];
    }
  }

  #create(ids) {
    const island = { id: `I${(++this.#created).toString(36)}`, peers: ids };
    this.islands.add(island);
    this.#enter(island, ids);
  }

  #enter(island, ids) {
    for (const id of ids) {
      const peer = this.peers.get(id);
      this.#news.set(id, { island, from: peer.island?.id });
      peer.island = island;
    }
  }

  #areWithin(distance, one, other) {
    const [a, b] = [this.peers.get(one).position, this.peers.get(other).position];
    return (a.x - b.x) ** 2 + (a.z - b.z) ** 2 <= distance ** 2;
  }
}
