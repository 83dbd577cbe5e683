// Topics against an edge in memory.
import assert from "node:assert/strict";
import { test } from "node:test";
import { connect, SendError, SubscribeError } from "../lib/index.js";
import { Reader } from "../lib/protobuf.js";
import * as fake from "./fake-edge.mjs";
import { next, until } from "./waiting.mjs";

const ENDPOINT = { webtransport: "https://127.0.0.1:1/atoll", certificateSha256: "ab".repeat(32) };
const OPTIONS = { address: "0xMe", reconnect: false, webSocket: null, sign: async () => "[]" };

async function connected(t, options = {}) {
  const { edge, webTransport } = fake.fakeEdge(options.edge);
  const client = await connect(ENDPOINT, { ...OPTIONS, ...options.client, webTransport });
  t.after(() => client.close());
  return { edge, client };
}

/** The messages about topics that the edge has: the number of the case, and its fields. */
function about(edge) {
  const found = [];
  for (const message of edge.messages) {
    const outer = new Reader(message);
    const kind = outer.next();
    if (kind < 5) continue;
    const fields = [kind];
    const inner = new Reader(outer.bytes());
    for (let field = inner.next(); field !== 0; field = inner.next()) {
      if (kind === 5) fields.push(field === 1 ? inner.text() : fake.hex(inner.bytes()));
      else fields.push(field === 3 ? inner.text() : inner.uint32());
    }
    found.push(fields);
  }
  return found;
}

const said = (subscription, number) => ({ subscription, number, topic: "a.b", sender: "0xother", payload: Uint8Array.of(number) });

test("what is said, heard, missed and given up", { timeout: 5_000 }, async (t) => {
  const { edge, client } = await connected(t);
  const heard = [];
  const first = client.subscribe("a.*", (message) => heard.push(message));
  const second = client.subscribe("island.>", () => assert.fail("given up"), { scope: "system" });
  client.publish("a.b", Uint8Array.of(1, 2));
  await until(() => about(edge).length === 3);
  assert.deepEqual(about(edge), [[6, 1, "a.*"], [6, 1, 2, "island.>"], [5, "a.b", "0102"]]);
  edge.send(fake.subscribed({ subscription: 0 }));
  await first.ready;
  second.close();
  await assert.rejects(second.ready, (error) => error instanceof SubscribeError && error.kind === "closed");
  edge.send(fake.topicMessage(said(0, 1)));
  edge.send(fake.topicMessage(said(1, 1)));
  edge.send(fake.topicMessage({ ...said(0, 4), sender: "" }));
  await until(() => heard.length === 2);
  assert.deepEqual(heard, [
    { topic: "a.b", address: "0xother", payload: Uint8Array.of(1), missed: 0 },
    { topic: "a.b", address: null, payload: Uint8Array.of(4), missed: 2 },
  ]);
  assert.deepEqual([client.stats.topicsReceived, client.stats.topicsMissed], [2, 2]);
  // Told off when it was given up, and again because a message came after all.
  await until(() => about(edge).length === 5);
  assert.deepEqual(about(edge).slice(3), [[7, 1], [7, 1]]);
});

test("a refused topic is told by ready alone, and a failing listener stops nothing", { timeout: 5_000 }, async (t) => {
  const { edge, client } = await connected(t);
  let heard = 0;
  const refused = client.subscribe("a..b", () => heard++);
  const taken = client.subscribe("a", () => {
    heard++;
    throw new Error("of the test");
  });
  t.mock.method(console, "error", () => undefined);
  edge.send(fake.subscribed({ subscription: 0, error: 11, reason: "not a topic" }));
  edge.send(fake.subscribed({ subscription: 1 }));
  await taken.ready;
  await assert.rejects(refused.ready, (error) => error.kind === "refused" && error.code === "INVALID_TOPIC");
  edge.send(fake.topicMessage(said(1, 1)));
  edge.send(fake.topicMessage(said(1, 2)));
  await until(() => heard === 2);
  assert.equal(console.error.mock.callCount(), 2);
});

test("what is too much is refused, and after the end everything", { timeout: 5_000 }, async (t) => {
  const { client } = await connected(t);
  const kind = (expected) => (error) => error instanceof SendError && error.kind === expected;
  assert.throws(() => client.publish("a", new Uint8Array(65_526)), kind("payload_too_large"));
  client.publish("a", new Uint8Array(65_525));
  await new Promise((resolve) => setTimeout(resolve, 0));
  for (let count = 0; count < 8; count++) client.publish("a", new Uint8Array(65_525));
  assert.throws(() => client.publish("a", new Uint8Array(0)), kind("full"));
  const subscription = client.subscribe("a", () => undefined);
  client.close();
  await assert.rejects(subscription.ready, (error) => error.kind === "closed");
  assert.throws(() => client.publish("a", new Uint8Array(0)), kind("closed"));
  assert.throws(() => client.subscribe("a", () => undefined), kind("closed"));
});

test("a new session is asked again, and counts anew", { timeout: 5_000 }, async (t) => {
  const { edge, client } = await connected(t, { client: { reconnect: true } });
  const heard = [];
  client.subscribe("a.b", ({ missed }) => heard.push(missed));
  await until(() => about(edge).length === 1);
  edge.send(fake.topicMessage(said(0, 9)));
  await until(() => heard.length === 1);
  const restarted = next(client, "restarted");
  edge.lose();
  await restarted;
  await until(() => about(edge).length === 2);
  assert.deepEqual(about(edge)[1], [6, 1, "a.b"]);
  edge.send(fake.topicMessage(said(0, 1)));
  await until(() => heard.length === 2);
  assert.deepEqual(heard, [8, 0]);
});
