// Wallets that are contracts (EIP-1271, EIP-1654), on a node of their own: whatever @dcl/crypto accepts logs in over the BFF,
// and nothing else does.
import assert from "node:assert/strict";
import { once } from "node:events";
import { createRequire } from "node:module";
import { createServer } from "node:net";
import { after, before, test } from "node:test";
import { startEdge } from "../browser/edge.mjs";
import { barely, newOwner, personally, startNode } from "./ethereum.mjs";
import { KERNEL_2022, KERNEL_2023, connect, logIn, newIdentity, within } from "./kernel.mjs";

const require = createRequire(import.meta.url);
const { Authenticator } = require("@dcl/crypto");
const { createUnsafeIdentity } = require("@dcl/crypto/dist/crypto");

/** `isValidSignature(bytes32,bytes)`. */
const SELECTOR = "0x1626ba7e";

let node;
let edge;
before(async () => {
  node = await startNode();
  edge = await startEdge({ ATOLL_ETHEREUM__RPC_URL: node.url });
});
after(async () => {
  await edge?.stop();
  await node?.stop();
});

/** An identity as kernels make it: `sign` signs for the contract, once, that an ephemeral key may speak for it. */
async function delegating(contract, sign) {
  const identity = await Authenticator.initializeAuthChain(contract, createUnsafeIdentity(), 10, async (text) => sign(text));
  assert.equal(identity.authChain[1].type, "ECDSA_EIP_1654_EPHEMERAL");
  return { address: contract.toLowerCase(), sign: (text) => Authenticator.signPayload(identity, text) };
}

/** An identity without an ephemeral key: the contract signs every challenge itself. */
function signing(contract, sign) {
  return { address: contract.toLowerCase(), sign: (text) => Authenticator.createSimpleAuthChain(text, contract, sign(text)) };
}

/** Logs in for the length of a test. */
async function logInFor(t, identity, kernel = KERNEL_2023, door = edge) {
  const peer = await logIn(door, kernel, identity);
  t.after(() => peer.socket.close());
  assert.equal(peer.welcome.peerId, identity.address);
  return peer;
}

/** Tries to log in, and resolves to the error. */
async function refusal(t, identity, door = edge) {
  const connection = await connect(door, KERNEL_2023);
  t.after(() => connection.socket.close());
  const { challengeToSign } = await connection.authentication.getChallenge({ address: identity.address });
  const authChainJson = JSON.stringify(identity.sign(challengeToSign));
  const refused = connection.authentication.authenticate({ authChainJson });
  const words = (error) => error.message.replace(/^RemoteError: /, "");
  return within(refused.then(() => assert.fail("it logged in"), words), "no answer");
}

/** What @dcl/crypto itself says of an identity, asking the same node. */
async function isAccepted(identity) {
  const text = "dcl-0.the-same";
  return (await Authenticator.validateSignature(text, identity.sign(text), node.provider)).ok;
}

for (const [way, identify] of Object.entries({ "an ephemeral key": delegating, "its own signature": signing })) {
  for (const [how, signer, asked] of [["personal_sign", personally, 2], ["the bare digest", barely, 1]]) {
    test(`a contract logs in by ${way}, signed by ${how}`, async (t) => {
      const owner = newOwner();
      const contract = await node.deploy("Wallet", owner);
      const identity = await identify(contract, signer(owner));
      assert.ok(await isAccepted(identity));
      const before = node.calls.length;
      await logInFor(t, identity, asked === 1 ? KERNEL_2022 : KERNEL_2023);
      const calls = node.calls.slice(before);
      assert.equal(calls.length, asked, "the bare digest is asked about first");
      for (const { to, data } of calls) {
        assert.equal(to.toLowerCase(), identity.address);
        assert.equal(data.slice(0, 10), SELECTOR);
      }
    });
  }
}

test("a wallet that says no by reverting says yes all the same", async (t) => {
  const owner = newOwner();
  const identity = await delegating(await node.deploy("RevertingWallet", owner), personally(owner));
  assert.ok(await isAccepted(identity));
  await logInFor(t, identity);
});

test("a contract that is no wallet of the signer's is refused, as by @dcl/crypto", async (t) => {
  const [owner, other] = [newOwner(), newOwner()];
  const wallet = await node.deploy("Wallet", owner);
  const reverting = await node.deploy("RevertingWallet", owner);
  const refused = {
    "another signed": await delegating(wallet, personally(other)),
    "another signed the bare digest": await delegating(wallet, barely(other)),
    "another signed each challenge": signing(wallet, personally(other)),
    "another signed, and the wallet reverts": await delegating(reverting, personally(other)),
    "the owner signed for another wallet": await delegating(await node.deploy("Wallet", other), personally(owner)),
    "a wallet of the draft": await delegating(await node.deploy("DraftWallet", owner), personally(owner)),
    "a wallet of the draft, bare": await delegating(await node.deploy("DraftWallet", owner), barely(owner)),
    "a yes in another word": await delegating(await node.deploy("Agreeable", owner), personally(owner)),
    "no contract at all": await delegating(owner.address, personally(owner)),
  };
  for (const [what, identity] of Object.entries(refused)) {
    assert.equal(await isAccepted(identity), false, what);
    assert.equal(await refusal(t, identity), "Authentication failed", what);
  }
});

test("the ephemeral key has to be the one that the wallet's owner named, and not expired", async (t) => {
  const owner = newOwner();
  const contract = await node.deploy("Wallet", owner);
  const { sign } = await delegating(contract, personally(owner));
  const address = contract.toLowerCase();
  const stranger = createUnsafeIdentity();
  const signedByAnother = (text) => {
    const chain = sign(text);
    chain[2].signature = Authenticator.createSignature(stranger, text);
    return chain;
  };
  assert.equal(await refusal(t, { address, sign: signedByAnother }), "Authentication failed");
  const past = await Authenticator.initializeAuthChain(contract, stranger, -1, async (text) => personally(owner)(text));
  const before = node.calls.length;
  const expired = (text) => Authenticator.signPayload(past, text);
  assert.equal(await refusal(t, { address, sign: expired }), "Authentication failed");
  assert.equal(node.calls.length, before, "nobody is asked about a key that has expired");
});

test("a second login is answered from memory", async (t) => {
  const owner = newOwner();
  const identity = await delegating(await node.deploy("Wallet", owner), personally(owner));
  await logInFor(t, identity);
  const asked = node.calls.length;
  await logInFor(t, identity);
  await logInFor(t, identity, KERNEL_2022);
  assert.equal(node.calls.length, asked);
  // Another signature of the same wallet is another question.
  await logInFor(t, await delegating(identity.address, personally(owner)));
  assert.equal(node.calls.length, asked + 2);
});

test("without a node contracts are refused with the reason, and keys are let in", async (t) => {
  const alone = await startEdge();
  t.after(() => alone.stop());
  const owner = newOwner();
  const identity = await delegating(await node.deploy("Wallet", owner), personally(owner));
  const reason = await refusal(t, identity, alone);
  assert.match(reason, /^Authentication failed: link 1 is signed by a contract wallet, .* no Ethereum node$/);
  await logInFor(t, await newIdentity(), KERNEL_2023, alone);
});

test("a node that is silent costs its patience and no more, and nobody else anything", async (t) => {
  const held = new Set();
  const silent = createServer((socket) => {
    held.add(socket);
    socket.on("error", () => {});
  });
  await once(silent.listen(0, "127.0.0.1"), "listening");
  const waiting = await startEdge({ ATOLL_ETHEREUM__RPC_URL: `http://127.0.0.1:${silent.address().port}` });
  t.after(async () => {
    held.forEach((socket) => socket.destroy());
    silent.close();
    await waiting.stop();
  });
  const owner = newOwner();
  const identity = await delegating(await node.deploy("Wallet", owner), personally(owner));
  const since = Date.now();
  const refused = refusal(t, identity, waiting);
  await logInFor(t, await newIdentity(), KERNEL_2023, waiting);
  assert.equal(await refused, "Authentication failed: the Ethereum node could not be asked");
  // 700 ms for the two questions together; the rest is for a busy machine.
  assert.ok(Date.now() - since < 3_000, `${Date.now() - since} ms`);
  assert.ok(held.size >= 1, "it was asked");
});

test("what a node in trouble says is no answer, and is not remembered", async (t) => {
  const owner = newOwner();
  const identity = await delegating(await node.deploy("Wallet", owner), personally(owner));
  t.after(() => (node.isWell = true));
  node.isWell = false;
  assert.equal(await refusal(t, identity), "Authentication failed: the Ethereum node could not be asked");
  node.isWell = true;
  await logInFor(t, identity);
});
