// From the address of an edge to the addresses of its doors, by `/about`.
import { ConnectError } from "./errors.js";

/** Where a session can be opened. At least one of the two ways. */
export interface Endpoint {
  /** An https address. */
  webtransport?: string;
  /** A wss or ws address. */
  websocket?: string;
  /** The edge's name, which a login in one round trip is signed for; without it the edge's challenge is signed. */
  serverName?: string;
  /** SHA-256 of the edge's certificate, 64 hex digits: for a development certificate only. */
  certificateSha256?: string;
}

/** Asks the edge at `url` (http or https) for its doors. Throws `ConnectError` of kind `discovery`. */
export async function discover(url: string | URL, signal: AbortSignal): Promise<Endpoint> {
  let about: unknown;
  try {
    const base = new URL(url);
    if (!base.pathname.endsWith("/")) base.pathname += "/";
    const response = await fetch(new URL("about", base), { signal, cache: "no-store" });
    // The body is the same when the edge answers 503, "not healthy": it may still take sessions.
    about = await response.json();
  } catch (cause) {
    throw new ConnectError("discovery", `the edge's /about could not be read: ${String(cause)}`, { cause });
  }
  return readEndpoint(about);
}

/** The 32 bytes that 64 hex digits stand for. Throws `ConnectError` of kind `discovery`. */
export function parseSha256(hex: string): Uint8Array<ArrayBuffer> {
  if (!/^[0-9a-fA-F]{64}$/.test(hex)) throw new ConnectError("discovery", "certificateSha256 is not 64 hex digits");
  return Uint8Array.from({ length: 32 }, (_, index) => Number.parseInt(hex.slice(index * 2, index * 2 + 2), 16));
}

function readEndpoint(about: unknown): Endpoint {
  const atoll = member(member(about, "comms"), "atoll");
  const found = {
    webtransport: member(atoll, "webtransport"),
    websocket: member(atoll, "websocket"),
    serverName: member(member(about, "configurations"), "realmName"),
    certificateSha256: member(atoll, "certificateSha256"),
  };
  const endpoint = Object.fromEntries(Object.entries(found).filter(([, value]) => typeof value === "string")) as Endpoint;
  if (endpoint.webtransport === undefined && endpoint.websocket === undefined) {
    throw new ConnectError("discovery", "/about names no way in under comms.atoll");
  }
  return endpoint;
}

function member(value: unknown, name: string): unknown {
  return typeof value === "object" && value !== null ? (value as Record<string, unknown>)[name] : undefined;
}
