// A member of a room, whichever client it is: it speaks by numbers, keeps a ledger, and knows who else is there.
import { Ledger, orderedSort } from "./room_words.mjs";

/** What came to any client of this process and should not have. */
export const complaints = [];

/**
 * What the clients have in common. Each has a `send` of packets, `{ sort, body }`, and `others`: addresses by alias, itself not
 * among them.
 */
export class Member {
  /** `former` is an earlier connection of the same seat: counts and ledger go on. */
  constructor(address, words, former = undefined) {
    this.address = address;
    this.words = words;
    this.ledger = former?.ledger ?? new Ledger(words);
    /** Whether something that it says or hears may be lost on the way. */
    this.hasDatagrams = false;
    /** How many of each sort it has said. */
    this.said = former?.said ?? { update: 0, ordered: 0, event: 0, voice: 0, request: 0 };
    /** How many ordered messages others had said when it came, by address. */
    this.missed = former?.missed ?? {};
  }

  /** Begins to listen to these now, with an empty ledger. */
  listenTo(others) {
    this.ledger = new Ledger(this.words);
    for (const { address, said } of others) this.missed[address] = said.ordered;
  }

  /** Goes on counting where an earlier client of the same peer stopped. */
  goOnFrom(former) {
    this.said = former.said;
  }

  /** Says the next messages of a sort, all at once. */
  say(sort, count = 1) {
    return this.send(this.next(sort, count));
  }

  /** The packets of the next messages of a sort, which count as said. */
  next(sort, count = 1) {
    return Array.from({ length: count }, () => {
      const number = ++this.said[sort];
      const exact = sort === "ordered" ? orderedSort(number) : sort;
      return { sort: exact, body: this.words.encode(exact, number) };
    });
  }

  /** Writes what has come since into the ledger; clients in pages are asked. */
  async refresh() {}

  /** Takes a packet of somebody. */
  hear(from, bytes) {
    if (!this.ledger.enter(from, bytes)) complaints.push(`unreadable, of ${from}: ${Buffer.from(bytes).toString("hex", 0, 32)}`);
  }

  /** Whether these are there, and nobody else. */
  async isAmong(addresses) {
    const there = Object.values(await this.others());
    return there.length === addresses.length && addresses.every((address) => there.includes(address));
  }
}
