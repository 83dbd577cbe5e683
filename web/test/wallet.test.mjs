// The page's throw-away identity against what the original client computes from the same keys.
import assert from "node:assert/strict";
import { test } from "node:test";
import { fileURLToPath } from "node:url";
import { build } from "esbuild";

const OWNER = "0x19e7e376e7c213b7e7e7e46cc70a5dd086daff2a";
const EPHEMERAL = "0x1563915e194d8cfba1943570603f7606a3115508";

const bundle = await build({
  entryPoints: [fileURLToPath(new URL("../page/wallet.ts", import.meta.url))],
  bundle: true,
  write: false,
  format: "esm",
});
const { addressOf, freshKeys, identity, personalSign } = await import(
  `data:text/javascript;base64,${Buffer.from(bundle.outputFiles[0].contents).toString("base64")}`
);
const keys = {
  owner: new Uint8Array(32).fill(0x11),
  ephemeral: new Uint8Array(32).fill(0x22),
  expiration: new Date("2100-01-01T00:00:00.000Z"),
};

test("addresses and signatures are the original client's", () => {
  assert.equal(addressOf(keys.owner), OWNER);
  assert.equal(addressOf(keys.ephemeral), EPHEMERAL);
  assert.equal(
    personalSign("dcl-0.abc", keys.owner),
    "0x1b7eb4ec4c23a91bdfcf66d0460fb4379afa05a5e8ce9e8ba5ca00022be2fcf2" +
      "71ef812035cc36bef14f59be52780b3076470069360d48c173ab163fe317964c1b",
  );
  // The same leave with the checksummed spelling of the address, as the original client writes it.
  const leave = "Decentraland Login\nEphemeral address: 0x1563915e194D8CfBA1943570603F7606A3115508\nExpiration: 2100-01-01T00:00:00.000Z";
  assert.equal(
    personalSign(leave, keys.owner),
    "0x0a840c5b8a270606edd66c02809550f0521ac797673012b3d4b52ac1629529da" +
      "4e4809cc2f755e0b5fc081ade6717e03a6ba48eaafadf2a0489bee25db8987a11c",
  );
});

test("the auth chain has three links", async () => {
  const { address, sign } = identity(keys);
  assert.equal(address, OWNER);
  const chain = JSON.parse(await sign("dcl-0.abc"));
  assert.deepEqual(chain.map((link) => link.type), ["SIGNER", "ECDSA_EPHEMERAL", "ECDSA_SIGNED_ENTITY"]);
  assert.deepEqual(chain[0], { type: "SIGNER", payload: OWNER, signature: "" });
  assert.equal(chain[1].payload, `Decentraland Login\nEphemeral address: ${EPHEMERAL}\nExpiration: 2100-01-01T00:00:00.000Z`);
  assert.equal(chain[1].signature, personalSign(chain[1].payload, keys.owner));
  assert.equal(chain[2].payload, "dcl-0.abc");
  assert.equal(
    chain[2].signature,
    "0x5b924e64812680a43018b98c36b6a900b9396078ffd10ef59494d497139e5dde" +
      "468449619d64ba9be0d85a964b4d6d9810e4e9749d7e3da0c2e5d785fed5c4981b",
  );
});

test("every visit has an identity of its own", () => {
  assert.notEqual(identity(freshKeys()).address, identity(freshKeys()).address);
});
