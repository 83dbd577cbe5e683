// Signed fetches as explorers make them (ADR-44), and what they say when they ask for a room.

/** The metadata of an explorer that asks where to go. */
export const HANDSHAKE = {
  origin: "https://play.example",
  intent: "dcl:explorer:comms-handshake",
  signer: "dcl:explorer",
  isGuest: true,
};

/** A POST in the name of `identity`. */
export function signedFetch(identity, url, metadata) {
  const timestamp = Date.now();
  const metadataJson = JSON.stringify(metadata);
  const payload = ["POST", new URL(url).pathname, timestamp, metadataJson].join(":").toLowerCase();
  const headers = { "x-identity-timestamp": `${timestamp}`, "x-identity-metadata": metadataJson };
  identity.sign(payload).forEach((link, index) => (headers[`x-identity-auth-chain-${index}`] = JSON.stringify(link)));
  return fetch(url, { method: "POST", headers });
}
