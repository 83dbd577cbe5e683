// An Ethereum node of one's own, the contracts of wallets.sol on it, and the keys that own them.
import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { createServer } from "node:http";
import { createRequire } from "node:module";
import { once } from "node:events";
import { keccak256 } from "ethereum-cryptography/keccak.js";
import { utf8ToBytes } from "ethereum-cryptography/utils.js";
import { signSync } from "ethereum-cryptography/secp256k1.js";
import ganache from "ganache";
import solc from "solc";

const require = createRequire(import.meta.url);
const { Authenticator } = require("@dcl/crypto");
const { createUnsafeIdentity } = require("@dcl/crypto/dist/crypto");
const { HTTPProvider, hexToBytes } = require("eth-connect");

/** Starts a node, and before it a proxy that notes what contracts are asked. */
export async function startNode() {
  const contracts = await compile();
  const node = ganache.server({ logging: { quiet: true }, wallet: { totalAccounts: 1 } });
  await node.listen(0, "127.0.0.1");
  const behind = `http://127.0.0.1:${node.address().port}`;
  const calls = [];
  const state = { isWell: true };
  const proxy = createServer(async (request, response) => {
    const chunks = [];
    for await (const chunk of request) chunks.push(chunk);
    const body = Buffer.concat(chunks);
    const { id, method, params } = JSON.parse(body);
    if (method === "eth_call") calls.push(params[0]);
    if (!state.isWell) {
      const error = { code: -32005, message: "daily request count exceeded" };
      response.end(JSON.stringify({ jsonrpc: "2.0", id, error }));
      return;
    }
    const answer = await fetch(behind, { method: "POST", body, headers: { "content-type": "application/json" } });
    response.writeHead(answer.status).end(await answer.text());
  });
  await once(proxy.listen(0, "127.0.0.1"), "listening");
  const url = `http://127.0.0.1:${proxy.address().port}`;
  const [from] = await node.provider.request({ method: "eth_accounts", params: [] });
  return {
    url,
    /** What contracts were asked: `{ to, data }`. */
    calls,
    /** Whether it answers anything but that it is in trouble. */
    set isWell(isWell) {
      state.isWell = isWell;
    },
    /** For the packages' own verification; what it asks is not among `calls`. */
    provider: new HTTPProvider(behind),
    /** The address of a new contract that belongs to `owner`. */
    async deploy(name, owner) {
      const data = `0x${contracts[name].evm.bytecode.object}${owner.address.slice(2).padStart(64, "0")}`;
      const transaction = { from, data, gas: "0x1e8480" };
      const hash = await node.provider.request({ method: "eth_sendTransaction", params: [transaction] });
      const receipt = await node.provider.request({ method: "eth_getTransactionReceipt", params: [hash] });
      assert.equal(receipt.status, "0x1", `${name} is deployed`);
      return receipt.contractAddress;
    },
    async stop() {
      proxy.closeAllConnections();
      proxy.close();
      await node.close();
    },
  };
}

/** A key that owns wallets. */
export const newOwner = createUnsafeIdentity;

/** What wallets.sol wants of an owner who signs as browsers' wallets do: by `personal_sign`, and a byte more. */
export const personally = (owner) => (text) => `${Authenticator.createSignature(owner, text)}00`;

/** The same over the bare digest of the text. */
export function barely(owner) {
  return (text) => {
    const options = { recovered: true, der: false };
    const [signature, recovery] = signSync(keccak256(utf8ToBytes(text)), hexToBytes(owner.privateKey), options);
    return `0x${Buffer.from([...signature, 27 + recovery, 0]).toString("hex")}`;
  };
}

async function compile() {
  const file = "wallets.sol";
  const content = await readFile(new URL(file, import.meta.url), "utf8");
  const settings = { evmVersion: "paris", outputSelection: { "*": { "*": ["evm.bytecode.object"] } } };
  const input = { language: "Solidity", sources: { [file]: { content } }, settings };
  const { contracts, errors } = JSON.parse(solc.compile(JSON.stringify(input)));
  assert.deepEqual(errors ?? [], []);
  return contracts[file];
}
