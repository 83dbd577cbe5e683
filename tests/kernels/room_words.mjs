// What peers of a room say in these tests: numbered messages of every sort, in the words of either generation, and what was heard
// of whom.
import { createRequire } from "node:module";

const require = createRequire(import.meta.url);
const { Data } = require("@dcl/comms3-transports/dist/proto/comms.js");
const { Packet } = require("@dcl/protocol/out-js/decentraland/kernel/comms/rfc4/comms.gen.js");

const SCENE = "bafkre-scene";
const EVENT = "bafkre-event";
const UPRIGHT = { rotationX: 0, rotationY: 0, rotationZ: 0, rotationW: 1 };

/** The sorts of ordered messages, one after the other. */
const ORDERED = ["chat", "scene", "profile"];

/** Sorts that kernels since the end of September 2022 send without asking for reliability. */
export const UNRELIABLE = ["update", "event", "voice"];

const place = (number) => ({ positionX: 1, positionY: number, positionZ: 2, ...UPRIGHT });
const isEvent = (sceneId) => sceneId === EVENT;

/** Until September 2022: `Data`. Numbers are where they survive a translation, so the number of a place is its height. */
export const SUMMER_WORDS = {
  encode: (sort, number) => {
    const time = 1.66e12 + 10 * number;
    const scene = (sceneId) => ({ $case: "scene", scene: { time, sceneId, data: `${number}` } });
    const message = {
      update: () => ({ $case: "position", position: { time, ...place(number) } }),
      chat: () => ({ $case: "chat", chat: { time, messageId: `m${number}`, text: `${number}` } }),
      scene: () => scene(SCENE),
      event: () => scene(EVENT),
      profile: () => ({ $case: "profile", profile: { time, profileVersion: `${number}`, profileType: 1 } }),
      voice: () => ({ $case: "voice", voice: { encodedSamples: Uint8Array.of(1, 2), index: number } }),
      request: () => ({ $case: "profileRequest", profileRequest: { time, profileVersion: `${number}`, userId: "0x1" } }),
    }[sort]();
    return Data.encode({ message }).finish();
  },
  decode: (bytes) => {
    const message = Data.decode(bytes).message;
    switch (message?.$case) {
      case "position":
        return ["update", message.position.positionY];
      case "chat":
        return ["chat", Number(message.chat.text)];
      case "scene":
        return [isEvent(message.scene.sceneId) ? "event" : "scene", Number(message.scene.data)];
      case "profile":
        return ["profile", Number(message.profile.profileVersion)];
      case "voice":
        return ["voice", message.voice.index];
      case "profileRequest":
        return ["request", Number(message.profileRequest.profileVersion)];
    }
    return null;
  },
};

/** Since then: RFC-4. */
export const RFC4_WORDS = {
  encode: (sort, number) => {
    const scene = (sceneId) => ({ $case: "scene", scene: { sceneId, data: Buffer.from(`${number}`) } });
    const message = {
      update: () => ({ $case: "position", position: { index: number, ...place(number) } }),
      chat: () => ({ $case: "chat", chat: { message: `${number}`, timestamp: 1.7e12 } }),
      scene: () => scene(SCENE),
      event: () => scene(EVENT),
      profile: () => ({ $case: "profileVersion", profileVersion: { profileVersion: number } }),
      voice: () => ({ $case: "voice", voice: { encodedSamples: Uint8Array.of(1, 2), index: number, codec: 0 } }),
      request: () => ({ $case: "profileRequest", profileRequest: { address: "0x1", profileVersion: number } }),
    }[sort]();
    return Packet.encode({ message }).finish();
  },
  decode: (bytes) => {
    const message = Packet.decode(bytes).message;
    switch (message?.$case) {
      case "position":
        // Walkers stay on the ground and count.
        return ["update", message.position.positionY || message.position.index];
      case "chat":
        return ["chat", Number(message.chat.message)];
      case "scene":
        return [isEvent(message.scene.sceneId) ? "event" : "scene", Number(Buffer.from(message.scene.data).toString())];
      case "profileVersion":
        return ["profile", message.profileVersion.profileVersion];
      case "voice":
        return ["voice", message.voice.index];
      case "profileRequest":
        return ["request", message.profileRequest.profileVersion];
    }
    return null;
  },
};

/** What the ordered message of this number is; none other counts as ordered. */
export const orderedSort = (number) => ORDERED[number % ORDERED.length];

/** Who said what, in the order of hearing it. */
export class Ledger {
  #words;
  #entries = [];

  constructor(words) {
    this.#words = words;
  }

  /** Takes a packet of somebody; answers whether it can be read. */
  enter(from, bytes) {
    // By this a server of generation 1 introduces somebody.
    if (bytes.length === 0) return true;
    const said = this.#words.decode(bytes);
    if (said === null) return false;
    const [exact, number] = said;
    const sort = orderedSort(number) === exact ? "ordered" : exact;
    this.#entries.push({ from, sort, number });
    return true;
  }

  /** The numbers of what somebody said, in the order of hearing it. */
  of(from, sort) {
    return this.#entries.filter((entry) => entry.from === from && entry.sort === sort).map(({ number }) => number);
  }
}
