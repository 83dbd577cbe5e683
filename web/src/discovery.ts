// From the address of an edge to the address of its WebTransport door, by `/about`.
import { ConnectError } from "./errors.js";

/** Where to open a WebTransport session. */
export interface Endpoint {
  /** An https address. */
  webtransport: string;
  /** SHA-256 of the edge's certificate, 64 hex digits: for a development certificate only. */
  certificateSha256?: string;
}

/** Asks the edge at `url` (http or https) for its WebTransport door. Throws `ConnectError` of kind `discovery`. */
export async function discover(url: string | URL, timeoutMs: number): Promise<Endpoint> {
  let about: unknown;
  try {
    const base = new URL(url);
    if (!base.pathname.endsWith("/")) base.pathname += "/";
    const response = await fetch(new URL("about", base), { signal: AbortSignal.timeout(timeoutMs), cache: "no-store" });
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
  const webtransport = member(atoll, "webtransport");
  if (typeof webtransport !== "string") throw new ConnectError("discovery", "/about has no comms.atoll.webtransport");
  const certificateSha256 = member(atoll, "certificateSha256");
  return typeof certificateSha256 === "string" ? { webtransport, certificateSha256 } : { webtransport };
}

function member(value: unknown, name: string): unknown {
  return typeof value === "object" && value !== null ? (value as Record<string, unknown>)[name] : undefined;
}
