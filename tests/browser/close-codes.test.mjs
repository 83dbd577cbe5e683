// What a browser learns when the edge ends a session: the close code, whatever went wrong.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { startChromium } from "./chromium.mjs";
import { startEdge } from "./edge.mjs";

const TIMEOUT = 30_000;
const ADDRESS = "0x19e7e376e7c213b7e7e7e46cc70a5dd086daff2a";

let edge;
let chromium;
let page;

before(async () => {
  edge = await startEdge();
  chromium = await startChromium();
  // Any document of a loopback origin will do; this one runs no script of its own.
  page = await chromium.newTab(`${edge.http}/about`);
}, { timeout: 60_000 });

after(async () => {
  await chromium?.stop();
  await edge?.stop();
}, { timeout: 60_000 });

test("a wrong path is 4004", { timeout: TIMEOUT }, async () => {
  assert.equal((await closeOf({ path: "/nowhere" })).closeCode, 4004);
});

test("garbage on the control stream is 4006", { timeout: TIMEOUT }, async () => {
  // A frame of two bytes whose message ends in the middle of a length.
  assert.equal((await closeOf({ frames: [[2, 0x0a, 0xff]] })).closeCode, 4006);
});

test("a bad auth chain is 4009", { timeout: TIMEOUT }, async () => {
  const chain = [
    { type: "SIGNER", payload: ADDRESS, signature: "" },
    { type: "ECDSA_SIGNED_ENTITY", payload: "another challenge", signature: `0x${"11".repeat(64)}1b` },
  ];
  const challengeRequest = frame(field(1, field(1, Buffer.from(ADDRESS))));
  const login = frame(field(2, field(1, field(1, Buffer.from(JSON.stringify(chain))))));
  const closed = await closeOf({ frames: [challengeRequest, login] });
  assert.equal(closed.closeCode, 4009);
  assert.ok(closed.answerBytes > 0, "a challenge came first");
});

test("an edge that ends says 4000 to whoever is connected", { timeout: TIMEOUT }, async () => {
  const closed = closeOf({ whenReady: "atollSessionReady" });
  await page.waitForFunction(() => window.atollSessionReady === true, null, { timeout: 10_000 });
  await edge.stop();
  assert.equal((await closed).closeCode, 4000);
});

/**
 * Opens a session from the page, sends each frame on the control stream (the second one after an answer to the first),
 * and resolves to how `closed` did.
 */
function closeOf({ path = "/atoll", frames = [], whenReady = null }) {
  const hash = [...Buffer.from(edge.sha256, "hex")];
  return page.evaluate(
    async ([url, hash, frames, whenReady]) => {
      const session = new WebTransport(url, {
        serverCertificateHashes: [{ algorithm: "sha-256", value: Uint8Array.from(hash) }],
        protocols: ["atoll.1"],
      });
      const closed = session.closed.then(
        ({ closeCode, reason }) => ({ closeCode, reason }),
        (error) => ({ closeCode: null, reason: String(error) }),
      );
      let answerBytes = 0;
      // The close may come in the middle of this; `closed` tells.
      const talk = async () => {
        await session.ready;
        if (whenReady !== null) window[whenReady] = true;
        if (frames.length === 0) return;
        const stream = await session.createBidirectionalStream();
        const writer = stream.writable.getWriter();
        const reader = stream.readable.getReader();
        for (const frame of frames) {
          if (frame !== frames[0]) answerBytes += (await reader.read()).value.length;
          await writer.write(Uint8Array.from(frame));
        }
      };
      await talk().catch(() => undefined);
      return { ...(await closed), answerBytes };
    },
    [new URL(path, edge.quic).href, hash, frames, whenReady],
  );
}

/** A length-delimited field of a protobuf message. */
function field(number, bytes) {
  return Buffer.from([(number << 3) | 2, ...varint(bytes.length), ...bytes]);
}

/** A message with its length in front, as an array that a page can be handed. */
function frame(message) {
  return [...varint(message.length), ...message];
}

function varint(value) {
  return value < 0x80 ? [value] : [(value & 0x7f) | 0x80, ...varint(value >>> 7)];
}
