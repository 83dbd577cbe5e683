// LiveKit's clients for browsers in rooms, in a page of Chromium.
import { openPackages } from "./package_page.mjs";
import { LivekitRoom, readString } from "./livekit_room.mjs";
import { complaints } from "./room_member.mjs";
import { RFC4_WORDS } from "./room_words.mjs";

const CONTENTS = 'export { PageRoom } from "./livekit_in_page.mjs";';

/** Opens a tab with the clients in it. What they do not catch counts as a complaint; what they log does not. */
export async function openLivekitPage(scope, chromium, prepare = undefined) {
  const page = await openPackages(scope, chromium, CONTENTS, prepare);
  page.on("pageerror", (error) => complaints.push(`${error.stack ?? error}`));
  return page;
}

/** The same on a network that passes no UDP: its browser finds none of a server's UDP ports. */
export function openLivekitPageWithoutUdp(scope, chromium) {
  return openLivekitPage(scope, chromium, (page) =>
    page.addInitScript(() => {
      const all = [];
      window.RTCPeerConnection = class extends RTCPeerConnection {
        constructor(...options) {
          super(...options);
          all.push(this);
        }
        setRemoteDescription({ type, sdp }) {
          return super.setRemoteDescription({ type, sdp: sdp.replace(/^a=candidate:\S+ \d+ udp .*\r\n/gim, "") });
        }
      };
      /** By which protocol each connection goes that is open. */
      window.protocols = async () => {
        const open = all.filter(({ connectionState }) => connectionState === "connected");
        const reports = await Promise.all(open.map((connection) => connection.getStats()));
        return reports.map((report) => {
          const { selectedCandidatePairId } = Array.from(report.values()).find(({ type }) => type === "transport");
          return report.get(report.get(selectedCandidatePairId).remoteCandidateId).protocol;
        });
      };
    }),
  );
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
