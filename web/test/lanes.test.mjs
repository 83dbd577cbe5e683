// The lanes' machines, alone and against each other over connections that are cut.
import assert from "node:assert/strict";
import { test } from "node:test";
import { LaneError, LargeIncoming, LARGE_BOUNDS, MAX_BEYOND, OrderedIncoming, Outgoing, ORDERED_BOUNDS } from "../lib/lanes.js";
import { random } from "./fake-edge.mjs";

const message = (number, message) => ({ case: "message", number, message });
const gap = (first, last) => ({ case: "gap", first, last });
/** Everything a lane has to say at this time. */
function drain(lane, now = 0) {
  const items = [];
  for (let item = lane.next(now); item !== null; item = lane.next(now)) items.push(item);
  return items;
}

test("outgoing: numbers from 1, each handed out once, forgotten when acknowledged", () => {
  const lane = new Outgoing(ORDERED_BOUNDS);
  assert.deepEqual(["a", "b", "c"].map((text) => lane.push(0, 1, text)), [1, 2, 3]);
  assert.deepEqual(drain(lane), [message(1, "a"), message(2, "b"), message(3, "c")]);
  assert.equal(lane.next(0), null);
  lane.acknowledge(2);
  lane.acknowledge(1);
  assert.equal(lane.length, 1, "an acknowledgement that comes late takes nothing back");
  lane.rewind(2);
  assert.deepEqual(drain(lane), [message(3, "c")]);
});

test("outgoing: what was never sent cannot be acknowledged", () => {
  const lane = new Outgoing(LARGE_BOUNDS);
  lane.push(0, 1, "a");
  assert.throws(() => lane.acknowledge(1), LaneError);
  assert.throws(() => lane.acknowledge(0, [1]), LaneError);
  drain(lane);
  assert.throws(() => lane.rewind(2), LaneError);
  assert.throws(() => lane.acknowledge(0, Array(MAX_BEYOND + 1).fill(1)), LaneError);
  lane.acknowledge(1);
});

test("outgoing: bounds push out the oldest, which becomes one gap in its place", () => {
  const lane = new Outgoing({ bytes: 10, entries: 3, ageMs: 100 });
  for (const text of ["a", "b", "c"]) lane.push(0, 2, text);
  assert.ok(lane.isFull(0, 1), "entries");
  lane.push(0, 2, "d");
  assert.deepEqual(drain(lane), [gap(1, 1), message(2, "b"), message(3, "c"), message(4, "d")]);
  lane.acknowledge(3);
  assert.ok(!lane.isFull(0, 8) && lane.isFull(0, 9), "bytes");
  lane.push(50, 8, "e");
  assert.deepEqual(drain(lane, 101), [message(5, "e")], "4 aged out, but this connection had it");
  lane.rewind(3);
  assert.deepEqual(drain(lane, 101), [gap(4, 4), message(5, "e")]);
  assert.deepEqual(drain(lane, 200), []);
  lane.rewind(3);
  assert.deepEqual(drain(lane, 200), [gap(4, 5)]);
  lane.acknowledge(5);
  assert.deepEqual([lane.length, lane.isFull(200, 10)], [0, false]);
});

test("outgoing: a large lane skips what arrived early and does not run ahead", () => {
  const lane = new Outgoing(LARGE_BOUNDS);
  for (let count = 0; count < 20; count++) lane.push(0, 1, count);
  assert.equal(drain(lane).length, MAX_BEYOND);
  lane.acknowledge(0, [2, 3, 16]);
  assert.deepEqual(drain(lane), [], "1 is missing");
  lane.acknowledge(1, [2, 3, 16]);
  assert.deepEqual(drain(lane), [message(17, 16)]);
  lane.rewind(3, [16]);
  assert.deepEqual(drain(lane).map(({ number }) => number), [4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 17, 18, 19]);
});

test("outgoing: a side that forgot what it had is believed", () => {
  const lane = new Outgoing(ORDERED_BOUNDS);
  for (const text of ["a", "b", "c"]) lane.push(0, 1, text);
  drain(lane);
  lane.acknowledge(2);
  lane.rewind(1);
  assert.deepEqual(drain(lane), [gap(2, 2), message(3, "c")]);
});

test("ordered: repeats are dropped, holes are errors, gaps tell what is missing", () => {
  const lane = new OrderedIncoming();
  assert.deepEqual([1, 1, 2].map((number) => lane.accept(number)), [true, false, true]);
  for (const number of [0, 4]) assert.throws(() => lane.accept(number), LaneError);
  assert.deepEqual(lane.gap({ first: 1, last: 2 }), []);
  assert.deepEqual(lane.gap({ first: 2, last: 5 }), [{ first: 3, last: 5 }]);
  assert.deepEqual([lane.received, lane.accept(6)], [5, true]);
  for (const [first, last] of [[0, 1], [9, 8], [8, 9]]) assert.throws(() => lane.gap({ first, last }), LaneError);
});

test("large: any order, but not far ahead", () => {
  const lane = new LargeIncoming();
  assert.deepEqual([3, 3, 1, 1].map((number) => lane.accept(number)), [true, false, true, false]);
  assert.deepEqual([lane.received, lane.beyond], [1, [3]]);
  assert.throws(() => lane.accept(1 + MAX_BEYOND + 1), LaneError);
  assert.deepEqual(lane.gap({ first: 1, last: 5 }), [{ first: 2, last: 2 }, { first: 4, last: 5 }]);
  assert.deepEqual([lane.received, lane.beyond], [5, []]);
  assert.deepEqual(lane.gap({ first: 7, last: 1_000_000 }), [{ first: 7, last: 1_000_000 }]);
  assert.deepEqual([lane.received, lane.beyond], [5, []], "a gap is not told as arrived");
  assert.equal(lane.accept(6), true);
  assert.equal(lane.received, 1_000_000);
  for (const [first, last] of [[0, 1], [9, 8]]) assert.throws(() => lane.gap({ first, last }), LaneError);
});

const SEEDS = Number(process.env.ATOLL_SEEDS ?? 1_000);

for (const [name, Incoming, bounds] of [
  ["ordered", OrderedIncoming, { bytes: 60, entries: 12, ageMs: 400 }],
  ["large", LargeIncoming, { bytes: 60, entries: 12, ageMs: 400, ahead: MAX_BEYOND }],
]) {
  test(`${name}: over ${SEEDS} seeds of cuts and resumes nothing is lost in silence, repeated or out of order`, () => {
    for (let seed = 1; seed <= SEEDS; seed++) {
      try {
        simulate(seed, new Incoming(), bounds, name === "ordered");
      } catch (error) {
        error.message = `seed ${seed}: ${error.message}`;
        throw error;
      }
    }
  });
}

/** One direction of a session: messages are pushed, travel, are acknowledged; connections are cut at any moment. */
function simulate(seed, incoming, bounds, inOrder) {
  const next = random(seed * 7_919);
  const outgoing = new Outgoing(bounds);
  const heard = new Map();
  let [now, pushed, highest] = [0, 0, 0];
  let [travelling, acknowledgements] = [[], []];

  const settle = (number, what) => {
    assert.ok(!heard.has(number), `${number} came twice`);
    heard.set(number, what);
  };
  const arrive = (item) => {
    if (item.case === "gap") {
      for (const { first, last } of incoming.gap(item)) {
        for (let number = first; number <= last; number++) settle(number, "gap");
        highest = Math.max(highest, last);
      }
    } else if (incoming.accept(item.number)) {
      assert.equal(item.message, `m${item.number}`);
      if (inOrder) assert.ok(item.number > highest, `${item.number} after ${highest}`);
      highest = Math.max(highest, item.number);
      settle(item.number, "message");
    }
    acknowledgements.push([incoming.received, incoming.beyond ?? []]);
  };
  const actions = {
    push: () => {
      const size = 1 + next(12);
      if (next(4) > 0 && outgoing.isFull(now, size)) return;
      outgoing.push(now, size, `m${++pushed}`);
    },
    send: () => {
      const item = outgoing.next(now);
      if (item !== null) travelling.push(item);
    },
    arrive: () => {
      // Streams of their own arrive in any order.
      const [item] = travelling.splice(inOrder ? 0 : next(Math.max(1, travelling.length)), 1);
      if (item !== undefined) arrive(item);
    },
    acknowledge: () => {
      const acknowledgement = acknowledgements.shift();
      if (acknowledgement !== undefined) outgoing.acknowledge(...acknowledgement);
    },
    cut: () => {
      [travelling, acknowledgements] = [[], []];
      outgoing.rewind(incoming.received, incoming.beyond ?? []);
    },
    wait: () => (now += next(60)),
  };
  const turns = ["push", "push", "send", "send", "send", "arrive", "arrive", "arrive", "acknowledge", "acknowledge", "wait"];
  for (let round = 0; round < 300; round++) {
    actions[next(40) === 0 ? "cut" : turns[next(turns.length)]]();
    assert.ok(outgoing.length <= bounds.entries);
  }
  // A last connection that holds.
  actions.cut();
  for (let round = 0; round < 4 * bounds.entries; round++) {
    for (const turn of ["send", "arrive", "acknowledge"]) actions[turn]();
  }
  for (let number = 1; number <= pushed; number++) assert.ok(heard.has(number), `${number} was lost in silence`);
  assert.equal(outgoing.length, 0);
}
