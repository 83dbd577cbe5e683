// A member of a room by one of LiveKit's clients, whichever it is: what it was told and what it heard.
import { until } from "./kernel.mjs";
import { Member, complaints } from "./room_member.mjs";
import { UNRELIABLE } from "./room_words.mjs";

/** Why a client says that it was disconnected. */
export const REASON = { clientInitiated: 1, duplicateIdentity: 2 };

/** What a connection string says, as later kernels read it: `{ url, token }`. */
export function readString(connectionString) {
  const url = new URL(connectionString.replace(/^livekit:/, ""));
  return { url: `${url.origin}${url.pathname}`, token: url.searchParams.get("access_token") };
}

/**
 * What the clients have in common. Each has `connect`, which resolves to `null` or to what kept it from it, `take`, which tells what
 * came since and how it stands, `publish` of packets, `{ bytes, reliable, to, topic }`, `setMicrophone`, `voices`, `subscribe` and
 * `leave`.
 */
export class LivekitRoom extends Member {
  constructor(address, words, former = undefined) {
    super(address, words, former);
    this.hasDatagrams = true;
    /** All that it heard: `{ from, bytes, isReliable, topic }`. */
    this.packets = [];
    /** All that it was told: `[event, of whom or why]`. */
    this.events = [];
    /** How it stood last: `name` of the room, `state`, its own `identity` and `sid`, `others` by `sid`, and the `speakers`. */
    this.state = null;
  }

  /** Enters for the length of a test; throws what kept it from it. */
  async enter(scope) {
    scope.after(() => this.leave());
    const refusal = await this.connect();
    if (refusal) throw new Error(`${this.constructor.name}: ${JSON.stringify(refusal)}`);
    await this.refresh();
    return this;
  }

  /** As kernels say them. */
  send(packets) {
    return this.publish(packets.map(({ sort, body }) => ({ bytes: body, reliable: !UNRELIABLE.includes(sort) })));
  }

  /** Says the next message of a sort under a topic or to some alone; resolves to its number. */
  async sayTo(sort, how) {
    await this.publish(this.next(sort).map(({ body }) => ({ bytes: body, ...how })));
    return this.said[sort];
  }

  async refresh() {
    const { heard, events, ...state } = await this.take();
    this.state = state;
    this.events.push(...events);
    for (const packet of heard) {
      this.packets.push(packet);
      if (packet.from) this.hear(packet.from, Uint8Array.from(packet.bytes));
      else complaints.push(`${this.constructor.name}: a packet of nobody`);
    }
  }

  async others() {
    await this.refresh();
    return this.state.others;
  }

  /** Waits until it was told so much that `condition` holds; `patience` is in milliseconds. */
  sees(condition, what, patience = undefined) {
    const isSeen = async () => {
      await this.refresh();
      return condition();
    };
    return until(isSeen, `${this.constructor.name} does not see ${what}`, patience);
  }

  /** Of whom, or why, it was told of an event, each time. */
  told(event) {
    return this.events.filter(([name]) => name === event).map(([, what]) => what);
  }
}
