// From the addresses of an edge to one open connection: WebTransport first, the WebSocket beside it when that takes long.
import type { Carrier } from "./carrier.js";
import { CLOSED, describeClose } from "./close.js";
import { parseSha256, type Endpoint } from "./discovery.js";
import { ConnectError } from "./errors.js";
import { closeSession, SUBPROTOCOL, WebTransportCarrier, type WebTransportConstructor } from "./transport.js";
import { WebSocketCarrier, type WebSocketConstructor } from "./websocket.js";

/** What this environment can open. */
export interface Doors {
  webTransport: WebTransportConstructor | null;
  webSocket: WebSocketConstructor | null;
}

/** A way in that is being tried. */
interface Attempt {
  carrier: Promise<Carrier>;
  /** Another one won, or time is over. */
  abandon: () => void;
}

/** Which ways in an edge and this environment have in common, the best one first. */
export function waysIn(endpoint: Endpoint, doors: Doors): Array<() => Attempt> {
  const { webtransport, websocket } = endpoint;
  const { webTransport, webSocket } = doors;
  const ways: Array<() => Attempt> = [];
  if (webtransport !== undefined && webTransport !== null) {
    ways.push(() => openWebTransport(webtransport, endpoint.certificateSha256, webTransport));
  }
  if (websocket !== undefined && webSocket !== null) ways.push(() => openWebSocket(websocket, webSocket));
  return ways;
}

/**
 * Tries the ways in one after the other, the next one when the last has failed or took `patienceMs`. The first that is
 * ready wins, the others are given up. Throws `ConnectError`; what `signal` is aborted with when it is.
 */
export function race(ways: ReadonlyArray<() => Attempt>, patienceMs: number, signal: AbortSignal): Promise<Carrier> {
  return new Promise((resolve, reject) => {
    const attempts: Attempt[] = [];
    let failed = 0;
    let over = false;
    let timer: ReturnType<typeof setTimeout> | undefined;
    const end = (winner: Attempt | null): void => {
      over = true;
      clearTimeout(timer);
      signal.removeEventListener("abort", abort);
      for (const attempt of attempts) if (attempt !== winner) attempt.abandon();
    };
    const abort = (): void => {
      end(null);
      reject(signal.reason);
    };
    const startNext = (): void => {
      clearTimeout(timer);
      const start = ways[attempts.length];
      if (start === undefined) return;
      const attempt = start();
      attempts.push(attempt);
      timer = setTimeout(startNext, patienceMs);
      attempt.carrier.then(
        (carrier) => {
          if (over) return;
          end(attempt);
          resolve(carrier);
        },
        (error: unknown) => {
          if (over) return;
          if (++failed < ways.length) startNext();
          else {
            end(null);
            reject(refusal(error));
          }
        },
      );
    };
    if (signal.aborted) reject(signal.reason);
    else if (ways.length === 0) reject(new ConnectError("unsupported", "this environment has none of the edge's ways in"));
    else {
      signal.addEventListener("abort", abort);
      startNext();
    }
  });
}

function openWebTransport(url: string, sha256: string | undefined, Constructor: WebTransportConstructor): Attempt {
  let session: WebTransport;
  try {
    const options: WebTransportOptions = { protocols: [SUBPROTOCOL] };
    if (sha256 !== undefined) options.serverCertificateHashes = [{ algorithm: "sha-256", value: parseSha256(sha256) }];
    session = new Constructor(url, options);
  } catch (cause) {
    return failed(cause instanceof ConnectError ? cause : unsupported("WebTransport", cause));
  }
  // Also when nobody looks at them any more.
  session.closed.catch(() => undefined);
  const carrier = WebTransportCarrier.open(session).catch((cause: unknown) => {
    closeSession(session, CLOSED, "");
    throw cause instanceof TypeError ? unsupported("WebTransport", cause) : cause;
  });
  return { carrier, abandon: () => closeSession(session, CLOSED, "") };
}

function openWebSocket(url: string, Constructor: WebSocketConstructor): Attempt {
  let socket: WebSocket;
  try {
    socket = new Constructor(url, [SUBPROTOCOL]);
  } catch (cause) {
    return failed(unsupported("WebSocket", cause));
  }
  const abandon = (): void => {
    // A browser complains of a socket that is closed while it connects.
    if (socket.readyState === socket.CONNECTING) socket.addEventListener("open", () => socket.close());
    else socket.close();
  };
  return { carrier: WebSocketCarrier.open(socket), abandon };
}

function failed(error: Error): Attempt {
  return { carrier: Promise.reject(error), abandon: () => undefined };
}

function unsupported(way: string, cause: unknown): ConnectError {
  return new ConnectError("unsupported", `no ${way} here: ${String(cause)}`, { cause });
}

function refusal(error: unknown): ConnectError {
  if (error instanceof ConnectError) return error;
  const closed = describeClose(null, error instanceof Error ? error.message : String(error));
  return new ConnectError("closed", `${closed.name}: ${closed.reason}`, { closed, cause: error });
}
