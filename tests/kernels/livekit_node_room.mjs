// LiveKit's client for Node in rooms: its SDK in Rust, as it is, in this process.
import * as sdk from "@livekit/rtc-node";
import { LivekitRoom, readString } from "./livekit_room.mjs";
import { RFC4_WORDS } from "./room_words.mjs";

const SAMPLES_PER_SECOND = 48_000;
const FRAME = SAMPLES_PER_SECOND / 100;
const TONE_HERTZ = 440;

const STATES = {
  [sdk.ConnectionState.CONN_CONNECTED]: "connected",
  [sdk.ConnectionState.CONN_RECONNECTING]: "reconnecting",
  [sdk.ConnectionState.CONN_DISCONNECTED]: "disconnected",
};

/** Ends the SDK, without which the process would stay. No room may be left. */
export const disposeNodeRooms = sdk.dispose;

/** One room. */
export class NodeRoom extends LivekitRoom {
  /** Prepares to enter by a connection string. */
  static at(address, connectionString, { words = RFC4_WORDS, former = undefined, autoSubscribe = true } = {}) {
    return new NodeRoom(address, words, former, { ...readString(connectionString), autoSubscribe });
  }

  #room = new sdk.Room();
  #options;
  #heard = [];
  #events = [];
  #speakers = [];
  /** What was heard of tracks, by identity. */
  #received = {};
  #microphone = null;

  constructor(address, words, former, options) {
    super(address, words, former);
    this.#options = options;
    this.#listen();
  }

  /** Resolves to `null`, or to why not. */
  async connect() {
    const { url, token, autoSubscribe } = this.#options;
    try {
      await this.#room.connect(url, token ?? "", { autoSubscribe, dynacast: false });
      return null;
    } catch ({ message }) {
      return { message };
    }
  }

  async take() {
    const { name, connectionState, localParticipant, remoteParticipants } = this.#room;
    const others = Array.from(remoteParticipants.values(), ({ sid, identity }) => [sid, identity]);
    return {
      heard: this.#heard.splice(0),
      events: this.#events.splice(0),
      name,
      state: STATES[connectionState],
      identity: localParticipant?.identity,
      sid: localParticipant?.sid,
      others: Object.fromEntries(others),
      speakers: this.#speakers,
    };
  }

  async publish(packets) {
    for (const { bytes, reliable, to, topic } of packets) {
      await this.#room.localParticipant.publishData(bytes, { reliable, topic, destination_identities: to });
    }
  }

  /** A microphone that hears one tone. This client cannot mute it, only take it away. */
  async setMicrophone(isOn) {
    const { localParticipant } = this.#room;
    if (!isOn) {
      const { publication, source } = this.#microphone;
      this.#microphone = null;
      await localParticipant.unpublishTrack(publication.sid);
      await source.close();
      return;
    }
    const source = new sdk.AudioSource(SAMPLES_PER_SECOND, 1, 100);
    const track = sdk.LocalAudioTrack.createAudioTrack("microphone", source);
    const options = new sdk.TrackPublishOptions({ source: sdk.TrackSource.SOURCE_MICROPHONE });
    this.#microphone = { source, publication: await localParticipant.publishTrack(track, options) };
    // A frame may be under way when the microphone is taken away.
    this.#hum(source).catch(() => {});
  }

  async voices() {
    const voices = {};
    for (const { identity, trackPublications } of this.#room.remoteParticipants.values()) {
      for (const { muted } of trackPublications.values()) voices[identity] = { isMuted: muted, ...this.#received[identity] };
    }
    return voices;
  }

  async subscribe(isWanted) {
    for (const { trackPublications } of this.#room.remoteParticipants.values()) {
      for (const publication of trackPublications.values()) publication.setSubscribed(isWanted);
    }
  }

  async leave() {
    this.#microphone = null;
    await this.#room.disconnect();
  }

  #listen() {
    const { RoomEvent, DataPacketKind } = sdk;
    const note = (name, ofWhom = () => null) => this.#room.on(name, (...values) => this.#events.push([name, ofWhom(...values)]));
    note(RoomEvent.ParticipantConnected, ({ identity }) => identity);
    note(RoomEvent.ParticipantDisconnected, ({ identity }) => identity);
    note(RoomEvent.Reconnecting);
    note(RoomEvent.Reconnected);
    note(RoomEvent.Disconnected, (reason) => reason);
    note(RoomEvent.TrackPublished, (_, { identity }) => identity);
    note(RoomEvent.TrackMuted, (_, { identity }) => identity);
    note(RoomEvent.TrackUnmuted, (_, { identity }) => identity);
    note(RoomEvent.TrackSubscribed, (_track, _publication, { identity }) => identity);
    note(RoomEvent.TrackUnsubscribed, (_track, _publication, { identity }) => identity);
    this.#room.on(RoomEvent.DataReceived, (payload, participant, kind, topic) => {
      const isReliable = kind === DataPacketKind.KIND_RELIABLE;
      this.#heard.push({ from: participant?.identity ?? null, bytes: payload, isReliable, topic: topic || null });
    });
    this.#room.on(RoomEvent.TrackSubscribed, (track, _publication, { identity }) => void this.#receive(track, identity));
    this.#room.on(RoomEvent.TrackUnsubscribed, (_track, _publication, { identity }) => delete this.#received[identity]);
    this.#room.on(RoomEvent.ActiveSpeakersChanged, (speakers) => {
      this.#speakers = speakers.map(({ identity }) => identity);
      for (const identity of this.#speakers) this.#events.push(["speaking", identity]);
    });
  }

  /** Decodes a track as long as there is one. */
  async #receive(track, identity) {
    const received = { packets: 0, energy: 0 };
    this.#received[identity] = received;
    for await (const { data } of new sdk.AudioStream(track, SAMPLES_PER_SECOND, 1)) {
      received.packets++;
      received.energy += data.reduce((sum, sample) => sum + (sample / 0x8000) ** 2, 0) / SAMPLES_PER_SECOND;
    }
  }

  async #hum(source) {
    let phase = 0;
    const step = (2 * Math.PI * TONE_HERTZ) / SAMPLES_PER_SECOND;
    while (this.#microphone?.source === source) {
      const samples = Int16Array.from({ length: FRAME }, () => 8_000 * Math.sin((phase += step)));
      // It takes its time while its queue is full.
      await source.captureFrame(new sdk.AudioFrame(samples, SAMPLES_PER_SECOND, 1, FRAME));
    }
  }
}
