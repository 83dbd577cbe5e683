// Runs in a page: rooms of LiveKit's clients of three ages behind one face, each used as kernels use it. livekit_page_room.mjs
// drives it.
import { createTransport } from "@dcl/comms3-transports";
import * as sdk1 from "livekit-client-1";
import * as sdk2 from "livekit-client-2";

/** Until kernels' adapters of their own, this package had the client in it. */
const transport = ({ address, url, token }) => {
  const logger = { error: console.error, log: () => {}, warn: console.error, info: () => {}, trace: () => {} };
  const config = { logger, peerId: address, bff: {}, ws: {}, livekit: { verbose: true }, p2p: {} };
  const connStr = `livekit:${url}?access_token=${token}`;
  const transport = createTransport(config, { connStr, islandId: "", peers: {} });
  return {
    room: transport.room,
    connect: () => transport.connect(),
    hear: (take) => transport.onMessageObservable.add(({ peer, payload }) => take(payload, peer)),
    publish: (bytes, { reliable }) => transport.send(bytes, { reliable }),
    leave: () => transport.disconnect(),
    others: (room) => room.participants,
    publications: (participant) => participant.tracks,
  };
};

/** Kernels from November 2022 to April 2023: neither topics nor identities as destinations. */
const first = ({ url, token, autoSubscribe }) => {
  const { Room, RoomEvent, DataPacket_Kind: Kind } = sdk1;
  const room = new Room();
  return {
    room,
    connect: async () => {
      await room.connect(url, token, { autoSubscribe });
      await room.engine.waitForPCConnected();
    },
    hear: (take) =>
      room.on(RoomEvent.DataReceived, (payload, participant, kind) => take(payload, participant?.identity, kind === Kind.RELIABLE)),
    publish: (bytes, { reliable, to }) => {
      const destinations = to?.map((identity) => room.getParticipantByIdentity(identity));
      return room.localParticipant.publishData(bytes, reliable ? Kind.RELIABLE : Kind.LOSSY, destinations);
    },
    leave: () => room.disconnect(),
    others: (room) => room.participants,
    publications: (participant) => participant.tracks,
  };
};

/** The newest. */
const second = ({ url, token, autoSubscribe }) => {
  const { Room, RoomEvent, DataPacket_Kind: Kind } = sdk2;
  const room = new Room();
  return {
    room,
    connect: () => room.connect(url, token, { autoSubscribe }),
    hear: (take) =>
      room.on(RoomEvent.DataReceived, (payload, participant, kind, topic) =>
        take(payload, participant?.identity, kind === Kind.RELIABLE, topic),
      ),
    publish: (bytes, { reliable, to, topic }) =>
      room.localParticipant.publishData(bytes, { reliable, topic, destinationIdentities: to }),
    leave: () => room.disconnect(),
    others: (room) => room.remoteParticipants,
    publications: (participant) => participant.trackPublications,
  };
};

const CLIENTS = { transport, first, second };

/** One room. What comes is kept until it is taken. */
export class PageRoom {
  /** `client` is the name of one, above; the rest is what it connects with. */
  constructor({ client, autoSubscribe = true, ...rest }) {
    this.client = CLIENTS[client]({ autoSubscribe, ...rest });
    this.heard = [];
    this.events = [];
    const { room } = this.client;
    this.client.hear((payload, from, isReliable, topic) =>
      this.heard.push({ from: from ?? null, bytes: Array.from(payload), isReliable: isReliable ?? null, topic: topic || null }),
    );
    const note = (name, ofWhom) => room.on(name, (...values) => this.events.push([name, ofWhom?.(...values) ?? null]));
    note("participantConnected", ({ identity }) => identity);
    note("participantDisconnected", ({ identity }) => identity);
    note("reconnecting");
    note("signalReconnecting");
    note("reconnected");
    note("disconnected", (reason) => reason);
    note("trackPublished", (_, { identity }) => identity);
    note("trackMuted", (_, { identity }) => identity);
    note("trackUnmuted", (_, { identity }) => identity);
    note("trackSubscribed", (_track, _publication, { identity }) => identity);
    note("trackUnsubscribed", (_track, _publication, { identity }) => identity);
    // Heard as by somebody at the page: Chromium decodes only what is played.
    room.on("trackSubscribed", (track) => document.body.append(track.attach()));
    room.on("trackUnsubscribed", (track) => track.detach().forEach((element) => element.remove()));
    room.on("activeSpeakersChanged", (speakers) => {
      for (const { identity } of speakers) this.events.push(["speaking", identity]);
    });
  }

  /** Resolves to `null`, or to why not. */
  async connect() {
    try {
      await this.client.connect();
      return null;
    } catch ({ message, reason, status }) {
      return { message, reason: reason ?? null, status: status ?? null };
    }
  }

  /** What has come since, and how it stands. */
  take() {
    const { room, others } = this.client;
    const { name, state, localParticipant, activeSpeakers } = room;
    return {
      heard: this.heard.splice(0),
      events: this.events.splice(0),
      name,
      state,
      identity: localParticipant.identity,
      sid: localParticipant.sid,
      others: Array.from(others(room).values(), ({ sid, identity }) => [sid, identity]),
      speakers: activeSpeakers.map(({ identity }) => identity),
    };
  }

  /** One after the other, as kernels say them. */
  async publish(packets) {
    for (const { bytes, ...how } of packets) await this.client.publish(Uint8Array.from(bytes), how);
  }

  async setMicrophone(isOn) {
    await this.client.room.localParticipant.setMicrophoneEnabled(isOn);
  }

  /** The tracks of others, by identity: whether each is muted, and what came of it, if it is subscribed to. */
  async voices() {
    const { room, others, publications } = this.client;
    const voices = {};
    for (const participant of others(room).values()) {
      for (const { isMuted, track } of publications(participant).values()) {
        voices[participant.identity] = { isMuted, ...(track && (await received(track))) };
      }
    }
    return voices;
  }

  /** Subscribes to all that others publish, or unsubscribes. */
  subscribe(isWanted) {
    const { room, others, publications } = this.client;
    for (const participant of others(room).values()) {
      for (const publication of publications(participant).values()) publication.setSubscribed(isWanted);
    }
  }

  async leave() {
    await this.client.leave();
  }
}

async function received({ receiver }) {
  const stats = Array.from((await receiver.getStats()).values());
  const { packetsReceived, totalAudioEnergy } = stats.find(({ type }) => type === "inbound-rtp") ?? {};
  return { packets: packetsReceived ?? 0, energy: totalAudioEnergy ?? 0 };
}
