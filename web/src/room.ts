// The room of an island as one client knows it: who is seated, and which packets of theirs are news. No I/O.
import { isNewer, Kind, type DatagramDown, type Entry } from "./datagram.js";
import type { Member } from "./messages.js";
import { updateKind } from "./rfc4.js";
import type { Stats } from "./stats.js";

/** A packet of another member. */
export interface Packet {
  /** Who sent it: an address, lower-case, or `server:<name>`. */
  address: string;
  kind: Kind;
  sequence: number;
  /** A Decentraland comms packet. A view that the client does not keep. */
  payload: Uint8Array;
}

/** One incarnation of a room, named by its tag. */
export class Room {
  readonly tag: number;
  /** The client's own alias. */
  readonly alias: number;
  readonly #names = new Map<number, string>();
  /** The last sequence handed on, by alias and packet kind. */
  readonly #latest = new Map<number, Map<number, number>>();

  constructor(tag: number, alias: number, members: readonly Member[]) {
    this.tag = tag;
    this.alias = alias;
    for (const member of members) this.#names.set(member.alias, member.name);
  }

  /** Everybody seated, the client included, by alias. */
  get members(): Member[] {
    return [...this.#names].map(([alias, name]) => ({ alias, name })).sort((a, b) => a.alias - b.alias);
  }

  /** Takes in who joined and left. Answers the members that left; aliases nobody is known by are passed over. */
  change(joined: readonly Member[], left: readonly number[]): Member[] {
    const gone: Member[] = [];
    for (const alias of left) {
      const name = this.#names.get(alias);
      if (name === undefined) continue;
      gone.push({ alias, name });
      this.#names.delete(alias);
      this.#latest.delete(alias);
    }
    for (const member of joined) {
      this.#names.set(member.alias, member.name);
      // An alias that somebody else had before: its sequence starts afresh.
      this.#latest.delete(member.alias);
    }
    return gone;
  }

  /** Takes in who is seated now, as `change` does. Answers the difference. */
  replace(members: readonly Member[]): { joined: Member[]; left: Member[] } {
    const now = new Map(members.map(({ alias, name }) => [alias, name]));
    const joined = members.filter(({ alias, name }) => this.#names.get(alias) !== name);
    const gone = [...this.#names.keys()].filter((alias) => now.get(alias) !== this.#names.get(alias));
    const left = this.change([], gone);
    this.change(joined, []);
    return { joined, left };
  }

  /** The packets of a chunk that are news, in order; what is dropped is counted. */
  receive(datagram: DatagramDown, stats: Stats): Packet[] {
    if (datagram.tag !== this.tag) {
      stats.droppedUnknownTag++;
      return [];
    }
    const packets: Packet[] = [];
    for (const entry of datagram.entries) {
      const packet = this.#receiveEntry(entry, stats);
      if (packet !== null) packets.push(packet);
    }
    stats.packetsReceived += packets.length;
    return packets;
  }

  #receiveEntry(entry: Entry, stats: Stats): Packet | null {
    if (entry.alias === this.alias) {
      stats.own++;
      return null;
    }
    const address = this.#names.get(entry.alias);
    if (address === undefined) {
      stats.droppedUnknownMember++;
      return null;
    }
    if (entry.kind === Kind.Update && !this.#isNews(entry)) {
      stats.droppedStale++;
      return null;
    }
    return { address, kind: entry.kind, sequence: entry.sequence, payload: entry.payload };
  }

  #isNews(entry: Entry): boolean {
    const kind = updateKind(entry.payload);
    // Not a state but sent as one: nothing replaces it.
    if (kind === null) return true;
    const latest = this.#latest.get(entry.alias) ?? new Map<number, number>();
    const last = latest.get(kind);
    if (last !== undefined && !isNewer(entry.sequence, last)) return false;
    latest.set(kind, entry.sequence);
    this.#latest.set(entry.alias, latest);
    return true;
  }
}
