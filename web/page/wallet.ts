// A throw-away identity: two fresh keys, and the auth chain that Decentraland clients make of them.
import { hmac } from "@noble/hashes/hmac.js";
import { sha256 } from "@noble/hashes/sha2.js";
import { keccak_256 } from "@noble/hashes/sha3.js";
import * as secp256k1 from "@noble/secp256k1";

/** Somebody who can log in. */
export interface Identity {
  /** Lower-case Ethereum address. */
  address: string;
  /** Answers the auth chain for a challenge, as JSON. */
  sign: (challenge: string) => Promise<string>;
}

/** What an identity is made of. The ephemeral key signs challenges until `expiration`, by the owner's leave. */
export interface Keys {
  owner: Uint8Array;
  ephemeral: Uint8Array;
  expiration: Date;
}

const DAY_MS = 86_400_000;
const encoder = new TextEncoder();

secp256k1.hashes.sha256 = sha256;
secp256k1.hashes.hmacSha256 = (key, message) => hmac(sha256, key, message);

/** Keys that nobody had before and nobody keeps. */
export function freshKeys(): Keys {
  return {
    owner: secp256k1.utils.randomSecretKey(),
    ephemeral: secp256k1.utils.randomSecretKey(),
    expiration: new Date(Date.now() + DAY_MS),
  };
}

/** The identity of these keys: SIGNER, ECDSA_EPHEMERAL, ECDSA_SIGNED_ENTITY. */
export function identity(keys: Keys): Identity {
  const address = addressOf(keys.owner);
  const leave = [
    "Decentraland Login",
    `Ephemeral address: ${addressOf(keys.ephemeral)}`,
    `Expiration: ${keys.expiration.toISOString()}`,
  ].join("\n");
  const leaveSignature = personalSign(leave, keys.owner);
  return {
    address,
    sign: async (challenge) =>
      JSON.stringify([
        { type: "SIGNER", payload: address, signature: "" },
        { type: "ECDSA_EPHEMERAL", payload: leave, signature: leaveSignature },
        { type: "ECDSA_SIGNED_ENTITY", payload: challenge, signature: personalSign(challenge, keys.ephemeral) },
      ]),
  };
}

/** Ethereum's personal_sign: `0x`, then r, s and v in hex. */
export function personalSign(text: string, key: Uint8Array): string {
  const message = encoder.encode(text);
  const prefix = encoder.encode(`\x19Ethereum Signed Message:\n${message.length}`);
  const hash = keccak_256(Uint8Array.from([...prefix, ...message]));
  const [recovery, ...rs] = secp256k1.sign(hash, key, { prehash: false, format: "recovered" });
  return toHex(Uint8Array.from([...rs, 27 + (recovery ?? 0)]));
}

/** The address of a key: the last 20 bytes of the hash of its public key. */
export function addressOf(key: Uint8Array): string {
  const publicKey = secp256k1.getPublicKey(key, false);
  return toHex(keccak_256(publicKey.subarray(1)).subarray(12));
}

function toHex(bytes: Uint8Array): string {
  return `0x${Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("")}`;
}
