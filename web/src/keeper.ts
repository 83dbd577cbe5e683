// Keeps a session connected: notices the end of a connection, makes the next one, and moves to a better way.
import { Backoff } from "./backoff.js";
import { CLOSED, describeClose, RESUMED, TOO_SLOW, type Closed } from "./close.js";
import { ConnectError } from "./errors.js";
import type { Connection } from "./login.js";
import type { Received, Resume } from "./messages.js";

/** Makes connections: what `Dialer` does. */
export interface ConnectionMaker {
  readonly hasWebTransport: boolean;
  connect(resume: Resume | null): Promise<Connection>;
  upgrade(resume: () => Resume): Promise<Connection>;
}

/** What a keeper tells its session. */
export interface KeeperHooks {
  /** From now on this is the connection. */
  adopt(connection: Connection): void;
  /** There is none at the moment. */
  lost(closed: Closed): void;
  /** There will be none any more. */
  ended(closed: Closed): void;
  /** What the end of a connection means, which may be more than the connection itself could tell. */
  explain(closed: Closed): Closed;
  /** What has arrived, for a resume. */
  received(): Received;
}

export interface KeeperOptions {
  /** Whether to connect again. */
  reconnect: boolean;
  /** Milliseconds between attempts to move to WebTransport; 0 for never. */
  upgradeAfterMs: number;
}

/** How long the edge may take to close a connection that another one has replaced. */
const REPLACED_MS = 5_000;

/** The connections of one session, one after another. */
export class Keeper {
  readonly #maker: ConnectionMaker;
  readonly #hooks: KeeperHooks;
  readonly #options: KeeperOptions;
  #current: Connection | null = null;
  #token = "";
  #ended = false;
  /** Ends the pause before the next attempt. */
  #hurry: (() => void) | null = null;
  #upgradeTimer: ReturnType<typeof setTimeout> | undefined;
  /** A connection is being made that may replace the current one. */
  #moving = false;
  /** How the current connection ended meanwhile. */
  #endedMeanwhile: Closed | null = null;

  constructor(maker: ConnectionMaker, hooks: KeeperHooks, options: KeeperOptions) {
    this.#maker = maker;
    this.#hooks = hooks;
    this.#options = options;
  }

  /** Begins with a connection that is logged in. */
  start(connection: Connection): void {
    if (this.#ended) connection.carrier.close(CLOSED, "");
    else this.#adopt(connection);
  }

  /** The network may be back: tries at once what would be tried later. */
  nudge(): void {
    this.#hurry?.();
    if (this.#upgradeTimer !== undefined) void this.#upgrade();
  }

  /** Ends the session. */
  end(closed: Closed): void {
    if (this.#ended) return;
    this.#ended = true;
    clearTimeout(this.#upgradeTimer);
    this.#hurry?.();
    this.#current?.carrier.close(closed.code ?? CLOSED, closed.reason);
    this.#current = null;
    this.#hooks.ended(closed);
  }

  #adopt(connection: Connection): void {
    const before = this.#current;
    this.#current = connection;
    this.#token = connection.welcome.resumeToken;
    this.#endedMeanwhile = null;
    if (before !== null) setTimeout(() => before.carrier.close(CLOSED, "moved"), REPLACED_MS);
    void connection.carrier.closed.then((closed) => this.#connectionEnded(connection, closed));
    this.#hooks.adopt(connection);
    if (connection.carrier.way === "websocket") this.#upgradeLater();
  }

  #connectionEnded(connection: Connection, end: Closed): void {
    if (this.#ended || connection !== this.#current) return;
    const closed = this.#hooks.explain(end);
    if (this.#moving && (closed.code === null || closed.code === RESUMED)) {
      // The edge has let go of it for the connection that is being made.
      this.#endedMeanwhile = closed;
      return;
    }
    this.#lose(closed);
  }

  #lose(closed: Closed): void {
    clearTimeout(this.#upgradeTimer);
    this.#upgradeTimer = undefined;
    if (closed.retry === "do not retry" || !this.#options.reconnect) {
      this.end(closed);
      return;
    }
    const before = this.#current;
    this.#current = null;
    // A session that was ended with a word is over, but for one.
    if (closed.code !== null && closed.code !== TOO_SLOW) this.#token = "";
    this.#hooks.lost(closed);
    void this.#reconnect(closed.code === null, before);
  }

  /** Until it works, or never will. `before` may still stand unnoticed; it is closed when the session goes on elsewhere. */
  async #reconnect(atOnce: boolean, before: Connection | null): Promise<void> {
    const backoff = new Backoff();
    // An edge that ends says so to everybody at the same moment.
    if (!atOnce) await this.#pause(backoff.next());
    while (!this.#ended) {
      try {
        const resume = this.#token === "" ? null : { token: this.#token, received: this.#hooks.received() };
        const connection = await this.#maker.connect(resume);
        before?.carrier.close(CLOSED, "lost");
        this.start(connection);
        return;
      } catch (error) {
        const end = finality(error);
        if (end !== null) this.end(this.#hooks.explain(end));
      }
      if (!this.#ended) await this.#pause(backoff.next());
    }
    before?.carrier.close(CLOSED, "");
  }

  #upgradeLater(): void {
    clearTimeout(this.#upgradeTimer);
    if (this.#options.upgradeAfterMs <= 0 || !this.#maker.hasWebTransport || this.#token === "") return;
    this.#upgradeTimer = setTimeout(() => void this.#upgrade(), this.#options.upgradeAfterMs);
  }

  async #upgrade(): Promise<void> {
    clearTimeout(this.#upgradeTimer);
    this.#upgradeTimer = undefined;
    const connection = this.#current;
    let resumable = true;
    try {
      const next = await this.#maker.upgrade(() => {
        if (this.#current !== connection || this.#ended) throw new ConnectError("closed", "the connection was lost meanwhile");
        this.#moving = true;
        return { token: this.#token, received: this.#hooks.received() };
      });
      this.#moving = false;
      this.start(next);
      return;
    } catch (error) {
      resumable = !(error instanceof ConnectError && error.kind === "resume_refused");
    }
    this.#moving = false;
    if (this.#ended || this.#current !== connection) return;
    const closed = this.#endedMeanwhile;
    this.#endedMeanwhile = null;
    // Whatever ended it, a connection that was lost in the middle of a move is lost.
    if (closed !== null) this.#lose(describeClose(null, closed.reason));
    else if (resumable) this.#upgradeLater();
  }

  async #pause(milliseconds: number): Promise<void> {
    let timer: ReturnType<typeof setTimeout> | undefined;
    await new Promise<void>((resolve) => {
      timer = setTimeout(resolve, milliseconds);
      this.#hurry = resolve;
    });
    clearTimeout(timer);
    this.#hurry = null;
  }
}

/** How a failed attempt ends the session; `null` when another one may succeed. */
function finality(error: unknown): Closed | null {
  if (!(error instanceof ConnectError)) return null;
  if (error.kind === "sign") return { ...describeClose(null, error.message), retry: "do not retry" };
  return error.closed?.retry === "do not retry" ? error.closed : null;
}
