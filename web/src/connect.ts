// From an address to a logged-in client.
import type { Carrier } from "./carrier.js";
import { AtollClient } from "./client.js";
import { CLOSED, UNAUTHORIZED, UNEXPECTED_MESSAGE } from "./close.js";
import { race, waysIn, type Doors } from "./dial.js";
import { discover, type Endpoint } from "./discovery.js";
import { ConnectError } from "./errors.js";
import { logIn, type Connection, type Identity, type LoginPlan } from "./login.js";
import type { Resume } from "./messages.js";
import type { WebTransportConstructor } from "./transport.js";
import type { WebSocketConstructor } from "./websocket.js";

/** Who connects, and how. `sign` is called for each login that is no resume. */
export interface ConnectOptions extends Identity {
  /** Milliseconds to the welcome, for each attempt; 10,000 (the edge's own limit) if not given. */
  timeoutMs?: number;
  /** Milliseconds that WebTransport has before the WebSocket is tried beside it; 500 if not given. */
  fallbackAfterMs?: number;
  /** Milliseconds between attempts to move from the WebSocket to WebTransport; 30,000 if not given, 0 for never. */
  upgradeAfterMs?: number;
  /** Whether to connect again when the connection is lost, or ended with the advice to; `true` if not given. */
  reconnect?: boolean;
  /** In place of the environment's `WebTransport`; `null` for none. */
  webTransport?: WebTransportConstructor | null;
  /** In place of the environment's `WebSocket`; `null` for none. Older versions of Node have none of their own. */
  webSocket?: WebSocketConstructor | null;
}

const TIMEOUT_MS = 10_000;
const FALLBACK_AFTER_MS = 500;

/**
 * Connects to the edge at an http(s) address, asking its `/about`, or to addresses that are known already, and logs in.
 * Listeners that are added in the same turn miss no event. Throws `ConnectError`.
 */
export async function connect(target: string | URL | Endpoint, options: ConnectOptions): Promise<AtollClient> {
  const dialer = new Dialer(target, options);
  return new AtollClient(await dialer.connect(null), dialer, options);
}

/** Makes connections to one edge. */
export class Dialer {
  readonly #target: string | URL | Endpoint;
  readonly #options: ConnectOptions;
  readonly #doors: Doors;
  #endpoint: Endpoint | null = null;
  #failures = 0;
  /** The edge takes no signed request from here: another clock, or an older version. */
  #challengeOnly = false;

  constructor(target: string | URL | Endpoint, options: ConnectOptions) {
    const here = globalThis as { WebTransport?: WebTransportConstructor; WebSocket?: WebSocketConstructor };
    const given = <Door>(option: Door | null | undefined, own: Door | undefined): Door | null =>
      option === undefined ? (own ?? null) : option;
    this.#target = target;
    this.#options = options;
    this.#doors = {
      webTransport: given(options.webTransport, here.WebTransport),
      webSocket: given(options.webSocket, here.WebSocket),
    };
  }

  /** Whether there is a better way in than the WebSocket. */
  get hasWebTransport(): boolean {
    return this.#endpoint?.webtransport !== undefined && this.#doors.webTransport !== null;
  }

  /** Connects by the way that is ready first and takes the session of the token up, or logs in. Throws `ConnectError`. */
  connect(resume: Resume | null): Promise<Connection> {
    return this.#within(async (signal) => {
      const endpoint = await this.#locate(signal);
      const ways = waysIn(endpoint, this.#doors);
      const dial = () => race(ways, this.#options.fallbackAfterMs ?? FALLBACK_AFTER_MS, signal);
      const { serverName } = endpoint;
      if (serverName !== undefined && !this.#challengeOnly) {
        try {
          return await this.#logIn(await dial(), { resume, anew: { case: "signedFetch", serverName } }, signal);
        } catch (error) {
          if (!isRefusal(error)) throw error;
          this.#challengeOnly = true;
        }
      }
      return this.#logIn(await dial(), { resume, anew: { case: "challenge" } }, signal);
    });
  }

  /** Takes the session of the token up over WebTransport, or throws `ConnectError`. */
  upgrade(resume: () => Resume): Promise<Connection> {
    return this.#within(async (signal) => {
      const ways = waysIn(await this.#locate(signal), { webTransport: this.#doors.webTransport, webSocket: null });
      const carrier = await race(ways, Number.POSITIVE_INFINITY, signal);
      // Only now: messages went on coming over the other connection.
      return this.#logIn(carrier, { resume: resume(), anew: { case: "never" } }, signal);
    });
  }

  async #logIn(carrier: Carrier, plan: LoginPlan, signal: AbortSignal): Promise<Connection> {
    const abort = new Promise<never>((_, reject) => {
      if (signal.aborted) reject(signal.reason);
      signal.addEventListener("abort", () => reject(signal.reason));
    });
    try {
      return await Promise.race([logIn(carrier, this.#options, plan), abort]);
    } catch (error) {
      carrier.close(CLOSED, "");
      throw error;
    }
  }

  /** The edge's doors. Asked for again when they did not work: an edge that was restarted may have another certificate. */
  async #locate(signal: AbortSignal): Promise<Endpoint> {
    if (!isAddress(this.#target)) return (this.#endpoint = this.#target);
    if (this.#endpoint !== null && this.#failures === 0) return this.#endpoint;
    try {
      this.#endpoint = await discover(this.#target, signal);
    } catch (error) {
      if (this.#endpoint === null || signal.aborted) throw signal.aborted ? signal.reason : error;
    }
    return this.#endpoint;
  }

  async #within(work: (signal: AbortSignal) => Promise<Connection>): Promise<Connection> {
    const timeoutMs = this.#options.timeoutMs ?? TIMEOUT_MS;
    const controller = new AbortController();
    const timer = setTimeout(() => {
      controller.abort(new ConnectError("timeout", `no welcome within ${timeoutMs} ms`));
    }, timeoutMs);
    try {
      const connection = await work(controller.signal);
      this.#failures = 0;
      return connection;
    } catch (error) {
      this.#failures++;
      throw error;
    } finally {
      clearTimeout(timer);
    }
  }
}

function isAddress(target: string | URL | Endpoint): target is string | URL {
  return typeof target === "string" || target instanceof URL;
}

/** Whether an edge answered a signed request so that a challenge is worth another connection. */
function isRefusal(error: unknown): boolean {
  const code = error instanceof ConnectError ? error.closed?.code : null;
  return code === UNAUTHORIZED || code === UNEXPECTED_MESSAGE;
}
