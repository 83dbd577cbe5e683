// Tokens for LiveKit rooms, as whoever knows the key makes them, and how an edge is told of the key.
import { createHmac } from "node:crypto";

const KEY = "the-tests";
const SECRET = "a secret that only these tests know";

/** An edge that knows the key and sends all kernels to LiveKit. */
export const WITH_LIVEKIT = {
  ATOLL_TRANSPORT__DEFAULT: "livekit",
  ATOLL_LIVEKIT__API_KEY: KEY,
  ATOLL_LIVEKIT__API_SECRET: SECRET,
};

/** A token of five minutes, or of less than none, with grants beyond that of joining a room. */
export function mintToken({ identity, room, grants = {}, key = KEY, secret = SECRET, seconds = 300 }) {
  const now = Math.floor(Date.now() / 1000);
  const video = { roomJoin: true, room, ...grants };
  const claims = { iss: key, sub: identity, nbf: 0, exp: now + seconds, video };
  const encode = (value) => Buffer.from(JSON.stringify(value)).toString("base64url");
  const signed = `${encode({ alg: "HS256" })}.${encode(claims)}`;
  return `${signed}.${createHmac("sha256", secret).update(signed).digest("base64url")}`;
}

/** The connection string of an edge with a token in it, or with none. */
export function stringWith(edge, token) {
  const url = edge.http.replace("http", "ws");
  return token === null ? `livekit:${url}` : `livekit:${url}?access_token=${token}`;
}
