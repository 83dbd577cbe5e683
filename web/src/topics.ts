// The topics of a session: what it hears, over one connection after another, and what it says.
import type { Carrier } from "./carrier.js";
import { ERROR_CODES, SendError, SubscribeError } from "./errors.js";
import { encodeClientMessage, Scope, type ClientMessage, type ServerMessage } from "./messages.js";
import type { Stats } from "./stats.js";

/** Whose messages a subscription hears: what peers say, the client itself included, or what services of the region say. */
export type TopicScope = "peer" | "system";

/** What somebody said on a topic. */
export interface TopicMessage {
  /** The topic in full, whatever wildcard was asked for. */
  topic: string;
  /** The address of the peer that said it, lower-case; `null` for a service. */
  address: string | null;
  payload: Uint8Array;
  /** Messages of this subscription that were lost before this one: the client was behind, or had no connection. */
  missed: number;
}

/** A topic that a client hears. `AtollClient.subscribe` makes one. */
export class Subscription {
  readonly topic: string;
  readonly scope: TopicScope;
  /** Resolves when the edge hears the topic for the client. Rejects with `SubscribeError`; nobody has to look. */
  readonly ready: Promise<void>;
  readonly #close: () => void;

  /** @internal */
  constructor(topic: string, scope: TopicScope, ready: Promise<void>, close: () => void) {
    this.topic = topic;
    this.scope = scope;
    this.ready = ready;
    this.#close = close;
    ready.catch(() => undefined);
  }

  /** Hears it no more. May be called again. */
  close(): void {
    this.#close();
  }
}

interface Open {
  topic: string;
  scope: Scope;
  listener: (message: TopicMessage) => void;
  resolve: () => void;
  reject: (error: SubscribeError) => void;
  /** The number of the last message. */
  last: number;
}

/** Bytes that may wait to be sent. */
const MAX_UNSENT_BYTES = 512 * 1024;

/** The topics of a session. */
export class Topics {
  readonly #stats: Stats;
  readonly #open = new Map<number, Open>();
  #carrier: Carrier | null = null;
  /** What is said before the session begins, in the turn after `connect`. */
  #early: Uint8Array[] | null = [];
  #next = 0;
  #unsentBytes = 0;

  constructor(stats: Stats) {
    this.#stats = stats;
  }

  /** Sends a message of at most `limit` bytes, if there is a connection. Throws `SendError`. */
  publish(topic: string, payload: Uint8Array, limit: number): void {
    const message = encodeClientMessage({ case: "publish", topic, payload });
    if (message.length > limit) {
      throw new SendError("payload_too_large", `${message.length} bytes with the topic; at most ${limit} are taken`);
    }
    if (this.#unsentBytes + message.length > MAX_UNSENT_BYTES) {
      throw new SendError("full", "too much waits to be sent");
    }
    if (this.#early !== null) {
      this.#early.push(message);
      this.#unsentBytes += message.length;
    } else if (this.#carrier === null) this.#stats.droppedUnsent++;
    else this.#send(this.#carrier, message);
  }

  /** Hears a topic, from now on or from the next connection on. */
  subscribe(topic: string, scope: TopicScope, listener: (message: TopicMessage) => void): Subscription {
    const id = this.#next++;
    let open!: Open;
    const ready = new Promise<void>((resolve, reject) => {
      open = { topic, scope: scope === "peer" ? Scope.Peer : Scope.System, listener, resolve, reject, last: 0 };
    });
    this.#open.set(id, open);
    this.#ask(id, open);
    return new Subscription(topic, scope, ready, () => this.#close(id));
  }

  /** Goes on over this connection, in the same session or in a new one. */
  attach(carrier: Carrier, isNew: boolean): void {
    this.#carrier = carrier;
    this.#unsentBytes = 0;
    for (const [id, open] of this.#open) {
      if (isNew) open.last = 0;
      this.#ask(id, open);
    }
    for (const message of this.#early ?? []) this.#send(carrier, message);
    this.#early = null;
  }

  /** The connection is lost. */
  detach(): void {
    this.#carrier = null;
  }

  /** The session has ended. */
  end(reason: string): void {
    this.detach();
    for (const open of this.#open.values()) open.reject(new SubscribeError("closed", reason));
    this.#open.clear();
  }

  /** Takes the edge's answer. */
  subscribed({ subscription, error, reason }: Extract<ServerMessage, { case: "subscribed" }>): void {
    const open = this.#open.get(subscription);
    if (open === undefined) return;
    if (error === 0) return open.resolve();
    this.#open.delete(subscription);
    open.reject(new SubscribeError("refused", reason, ERROR_CODES[error] ?? "UNKNOWN"));
  }

  /** Takes what somebody said. */
  take({ subscription, number, topic, sender, payload }: Extract<ServerMessage, { case: "topicMessage" }>): void {
    const open = this.#open.get(subscription);
    if (open === undefined) {
      // The edge did not hear that nobody listens.
      this.#tell({ case: "unsubscribe", subscription });
      return;
    }
    const missed = Math.max(number - open.last - 1, 0);
    open.last = Math.max(number, open.last);
    this.#stats.topicsReceived++;
    this.#stats.topicsMissed += missed;
    try {
      open.listener({ topic, address: sender === "" ? null : sender, payload, missed });
    } catch (error) {
      console.error(`atoll-client: the listener of the topic "${open.topic}" failed`, error);
    }
  }

  #ask(id: number, { topic, scope }: Open): void {
    this.#tell({ case: "subscribe", subscription: id, scope, topic });
  }

  #close(id: number): void {
    const open = this.#open.get(id);
    if (open === undefined) return;
    this.#open.delete(id);
    open.reject(new SubscribeError("closed", "given up"));
    this.#tell({ case: "unsubscribe", subscription: id });
  }

  #tell(message: ClientMessage): void {
    if (this.#carrier !== null) this.#send(this.#carrier, encodeClientMessage(message));
  }

  #send(carrier: Carrier, message: Uint8Array): void {
    this.#unsentBytes += message.length;
    void carrier.sendControl(message).then(() => {
      if (this.#carrier === carrier) this.#unsentBytes -= message.length;
    });
  }
}
