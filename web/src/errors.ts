// What can go wrong, one class for each operation.
import type { Closed } from "./close.js";

/**
 * Why `connect` failed.
 * - `unsupported`: this environment has neither WebTransport nor WebSocket for what the edge offers;
 * - `discovery`: the edge's `/about` could not be read, or names no way in;
 * - `sign`: the caller's `sign` failed;
 * - `timeout`: no welcome in time;
 * - `resume_refused`: the earlier session is over (only within the client: it logs in anew);
 * - `closed`: the edge refused or the connection was lost; `closed` tells more.
 */
export type ConnectErrorKind = "unsupported" | "discovery" | "sign" | "timeout" | "resume_refused" | "closed";

/** `connect` failed. */
export class ConnectError extends Error {
  override readonly name = "ConnectError";
  readonly kind: ConnectErrorKind;
  /** How the edge ended the session, when it did. */
  readonly closed: Closed | null;

  constructor(kind: ConnectErrorKind, message: string, options: { closed?: Closed; cause?: unknown } = {}) {
    super(message, { cause: options.cause });
    this.kind = kind;
    this.closed = options.closed ?? null;
  }
}

/**
 * Why something was not sent.
 * - `not_seated`: the client is in no island yet;
 * - `payload_too_large`: above `limits.maxPayloadBytes`, `maxOrderedBytes` or `maxLargeBytes`, or with its topic above
 *   `maxMessageBytes`;
 * - `full`: too much waits to be acknowledged, or to be sent on topics; nothing that was sent is dropped for it;
 * - `invalid_position`: not finite, or further than 1,000 km away;
 * - `closed`: the session has ended.
 */
export type SendErrorKind = "not_seated" | "payload_too_large" | "full" | "invalid_position" | "closed";

/** Something was not sent. */
export class SendError extends Error {
  override readonly name = "SendError";
  readonly kind: SendErrorKind;

  constructor(kind: SendErrorKind, message: string) {
    super(message);
    this.kind = kind;
  }
}

/**
 * Why a topic is not heard.
 * - `refused`: the edge said so; `code` is the name of its code;
 * - `closed`: the subscription was given up, or the session has ended.
 */
export type SubscribeErrorKind = "refused" | "closed";

/** A topic is not heard. */
export class SubscribeError extends Error {
  override readonly name = "SubscribeError";
  readonly kind: SubscribeErrorKind;
  /** `INVALID_TOPIC` or `TOO_MANY_SUBSCRIPTIONS`, when the edge refused. */
  readonly code: string | null;

  constructor(kind: SubscribeErrorKind, message: string, code: string | null = null) {
    super(message);
    this.kind = kind;
    this.code = code;
  }
}

/** The code of the edge's `error` that answers a token it does not take. */
export const RESUME_REFUSED = 10;

/** Names of the codes in the edge's `error` messages (`ErrorCode` in atoll.proto). */
export const ERROR_CODES: Readonly<Record<number, string>> = {
  1: "INVALID_POSITION",
  2: "PAYLOAD_TOO_LARGE",
  3: "MALFORMED_DATAGRAM",
  4: "NO_SEAT",
  5: "TOO_FAST",
  6: "UNSUPPORTED",
  7: "ROOM_FULL",
  8: "INVALID_ROOM",
  9: "LEFT_ROOM",
  [RESUME_REFUSED]: "RESUME_REFUSED",
  11: "INVALID_TOPIC",
  12: "TOO_MANY_SUBSCRIPTIONS",
  13: "INVALID_CONNECTION_STRING",
  14: "ROOM_REFUSED",
  15: "ROOM_LOST",
  16: "NOT_FOR_ALL",
};
