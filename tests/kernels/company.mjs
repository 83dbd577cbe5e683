// Those who are in one room, and what all their ledgers together have to show.
import assert from "node:assert/strict";
import { until } from "./kernel.mjs";

/** Members of a room. */
export class Company {
  constructor(...members) {
    this.members = members;
  }

  get addresses() {
    return this.members.map(({ address }) => address);
  }

  /** Forgets what was heard of each other; what was said goes on being counted. */
  beginAnew() {
    for (const member of this.members) member.listenTo(this.members);
  }

  /** Everybody with everybody else: `{ listener, speaker }`. */
  get pairs() {
    const others = (listener) => this.members.filter((speaker) => speaker !== listener);
    return this.members.flatMap((listener) => others(listener).map((speaker) => ({ listener, speaker })));
  }

  /** Everybody says so many of a sort. */
  async say(sort, count = 1) {
    await Promise.all(this.members.map((member) => member.say(sort, count)));
  }

  /** Waits until `condition` holds for what was heard by then; what is missing then is told by `missing`. */
  async hears(condition, what, missing = () => "") {
    const holds = async () => {
      for (const member of this.members) await member.refresh();
      return condition();
    };
    try {
      await until(holds, "not heard");
    } catch (error) {
      throw new Error(`not heard: ${what}${missing()}`, { cause: error });
    }
  }

  /** Everybody says so many ordered messages, and everybody else hears as many. */
  async exchange(count) {
    await this.say("ordered", count);
    const isComplete = ({ listener, speaker }) =>
      listener.ledger.of(speaker.address, "ordered").length >= expected(listener, speaker).length;
    const missing = () => this.pairs.filter((pair) => !isComplete(pair)).map(gap).join("");
    await this.hears(() => this.pairs.every(isComplete), "all ordered messages", missing);
    this.check();
  }

  /** Everybody tells so many places, and everybody else hears the last. */
  async move(count) {
    for (let round = 0; round < count; round++) await this.say("update");
    const isLast = ({ listener, speaker }) => listener.ledger.of(speaker.address, "update").at(-1) === speaker.said.update;
    await this.hears(() => this.pairs.filter(isReliable).every(isLast), "the last place");
    // A datagram may be lost: who goes on telling is heard.
    const isToldAnew = async () => {
      const unheard = new Set(this.pairs.filter((pair) => !isLast(pair)).map(({ speaker }) => speaker));
      for (const speaker of unheard) await speaker.say("update");
      return unheard.size === 0;
    };
    await this.hears(isToldAnew, "a place by datagrams");
    this.check();
  }

  /**
   * Holds what everybody heard against what everybody said: ordered messages once and in order, places never twice or late, all
   * else at most once.
   */
  check() {
    for (const { listener, speaker } of this.pairs) {
      const heard = (sort) => listener.ledger.of(speaker.address, sort);
      const what = `${listener.constructor.name} of ${speaker.constructor.name}`;
      assert.deepEqual(heard("ordered"), expected(listener, speaker), what);
      assertRising(heard("update"), what);
      for (const sort of ["event", "voice", "request"]) assertAtMostOnce(heard(sort), speaker.said[sort], `${sort}: ${what}`);
    }
  }

  /** Waits until everybody is told of all others, perhaps of guests too, and of nobody else. */
  async isTogether(...guests) {
    const everybody = [...this.addresses, ...guests];
    for (const member of this.members) {
      const others = everybody.filter((address) => address !== member.address);
      await until(() => member.isAmong(others), `${member.constructor.name} is told of others`);
    }
  }
}

/** Whether nothing between these two can be lost, however unreliable it is. */
export const isReliable = ({ listener, speaker }) => !listener.hasDatagrams && !speaker.hasDatagrams;

/** Whatever was heard of them is news each time: never twice, and never behind a later one. */
export function assertRising(numbers, what) {
  const back = numbers.findIndex((number, index) => index > 0 && number <= numbers[index - 1]);
  assert.equal(back, -1, `${what}: ${numbers[back]} after ${numbers[back - 1]}`);
}

function expected(listener, speaker) {
  const before = listener.missed[speaker.address] ?? 0;
  return Array.from({ length: speaker.said.ordered - before }, (_, index) => before + index + 1);
}

/** Which ordered messages a listener has not heard. */
function gap({ listener, speaker }) {
  const heard = new Set(listener.ledger.of(speaker.address, "ordered"));
  const missing = expected(listener, speaker).filter((number) => !heard.has(number));
  return `\n${listener.constructor.name} ${listener.address} of ${speaker.constructor.name} ${speaker.address}: ${missing}`;
}

/** Each at most once, and nothing that was not said. */
function assertAtMostOnce(numbers, said, what) {
  assert.equal(new Set(numbers).size, numbers.length, `${what}: twice in ${numbers}`);
  const invented = numbers.filter((number) => !(number >= 1 && number <= said));
  assert.deepEqual(invented, [], `${what}: never said`);
}
