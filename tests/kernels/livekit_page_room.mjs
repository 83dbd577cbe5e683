// LiveKit's clients for browsers in rooms, in a page of Chromium.
import { openPackages } from "./package_page.mjs";
import { LivekitRoom, readString } from "./livekit_room.mjs";
import { complaints } from "./room_member.mjs";
import { RFC4_WORDS } from "./room_words.mjs";

/** What a page needs to have a microphone and to play what it hears while nobody is at it. */
export const WITH_MICROPHONE = [
  "--use-fake-device-for-media-stream",
  "--use-fake-ui-for-media-stream",
  "--autoplay-policy=no-user-gesture-required",
];

/** Opens a tab with the clients in it. What they do not catch counts as a complaint; what they log does not. */
export async function openLivekitPage(scope, chromium) {
  const page = await openPackages(scope, chromium, 'export { PageRoom } from "./livekit_in_page.mjs";');
  page.on("pageerror", (error) => complaints.push(`${error.stack ?? error}`));
  return page;
}

/** One room of one client. */
class PageRoom extends LivekitRoom {
  /** Prepares to enter by a connection string. */
  static async at(address, connectionString, { page, words = RFC4_WORDS, former = undefined, autoSubscribe = true }) {
    const options = { client: this.client, address, autoSubscribe, ...readString(connectionString) };
    const handle = await page.evaluateHandle((options) => new window.packages.PageRoom(options), options);
    return new this(address, words, former, handle);
  }

  #handle;

  constructor(address, words, former, handle) {
    super(address, words, former);
    this.#handle = handle;
  }

  connect() {
    return this.#handle.evaluate((room) => room.connect());
  }

  async take() {
    const taken = await this.#handle.evaluate((room) => room.take());
    return { ...taken, others: Object.fromEntries(taken.others) };
  }

  async publish(packets) {
    const plain = packets.map(({ bytes, ...how }) => ({ bytes: Array.from(bytes), ...how }));
    await this.#handle.evaluate((room, packets) => room.publish(packets), plain);
  }

  setMicrophone(isOn) {
    return this.#handle.evaluate((room, isOn) => room.setMicrophone(isOn), isOn);
  }

  voices() {
    return this.#handle.evaluate((room) => room.voices());
  }

  subscribe(isWanted) {
    return this.#handle.evaluate((room, isWanted) => room.subscribe(isWanted), isWanted);
  }

  leave() {
    return this.#handle.evaluate((room) => room.leave());
  }
}

/** Kernels until October 2022: LivekitTransport of the package that they shipped. */
export class TransportRoom extends PageRoom {
  static client = "transport";
}

/** Kernels from November 2022 to April 2023: livekit-client 1.5.0. */
export class FirstRoom extends PageRoom {
  static client = "first";
}

/** livekit-client 2.23.0. */
export class SecondRoom extends PageRoom {
  static client = "second";
}
