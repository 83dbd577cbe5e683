// Why a session ended, and what to do about it: the close codes of atoll/1.

/** What a client should do after a close: connect again, connect to another edge, or stop. */
export type Retry = "retry" | "retry elsewhere" | "do not retry";

/** How a session ended. */
export interface Closed {
  /** The edge's close code; `null` when the connection was lost without one. */
  code: number | null;
  /** The code's name, `connection_lost` without a code, `unknown` for one that this version does not know. */
  name: string;
  /** For a person to read; may be empty. */
  reason: string;
  retry: Retry;
}

/** The client itself ended the session. */
export const CLOSED = 0;
/** The address logged in elsewhere. */
export const KICKED = 4002;
/** No welcome in time. */
export const LOGIN_TIMEOUT = 4003;
/** None of the offered subprotocols is known, or there are no datagrams. */
export const UNSUPPORTED_PROTOCOL = 4005;
/** A frame or message that cannot be read. */
export const MALFORMED = 4006;
/** A message out of order: what an edge says that does not know a form of login. */
export const UNEXPECTED_MESSAGE = 4008;
/** The auth chain was refused. */
export const UNAUTHORIZED = 4009;
/** The client does not read its control stream. Its session can be resumed. */
export const TOO_SLOW = 4010;
/** The session goes on over another connection. */
export const RESUMED = 4013;

const CODES: Readonly<Record<number, readonly [name: string, retry: Retry]>> = {
  [CLOSED]: ["closed", "do not retry"],
  4000: ["shutting_down", "retry"],
  4001: ["internal", "retry"],
  [KICKED]: ["kicked", "do not retry"],
  [LOGIN_TIMEOUT]: ["login_timeout", "retry"],
  4004: ["not_found", "do not retry"],
  [UNSUPPORTED_PROTOCOL]: ["unsupported_protocol", "do not retry"],
  [MALFORMED]: ["malformed", "do not retry"],
  4007: ["too_large", "do not retry"],
  [UNEXPECTED_MESSAGE]: ["unexpected_message", "do not retry"],
  [UNAUTHORIZED]: ["unauthorized", "do not retry"],
  [TOO_SLOW]: ["too_slow", "retry"],
  4011: ["overloaded", "retry elsewhere"],
  4012: ["silent", "retry"],
  [RESUMED]: ["resumed", "do not retry"],
};

/** What a close code says; `null` for a connection lost without one. */
export function describeClose(code: number | null, reason: string): Closed {
  if (code === null) return { code, name: "connection_lost", reason, retry: "retry" };
  const [name, retry] = CODES[code] ?? ["unknown", "retry"];
  return { code, name, reason, retry };
}
