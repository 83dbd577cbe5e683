// The two numbered lanes as machines: no I/O, no clock. Times are milliseconds of one clock that never runs backwards.
import type { Gap } from "./lane-messages.js";

/** How much one lane keeps for the other side. */
export interface Bounds {
  /** Bytes of all payloads together. */
  bytes: number;
  entries: number;
  /** From when it was pushed, in milliseconds. */
  ageMs: number;
  /** How far above the last number acknowledged in a row messages are handed out; no bound without it. */
  ahead?: number;
}

/** How far a large message may be above the last one in a row. */
export const MAX_BEYOND = 16;
export const ORDERED_BOUNDS: Readonly<Bounds> = { bytes: 262_144, entries: 4_096, ageMs: 60_000 };
export const LARGE_BOUNDS: Readonly<Bounds> = { bytes: 4_194_304, entries: 64, ageMs: 60_000, ahead: MAX_BEYOND };

/** What a lane says next: a message, or that numbers up to `last` cannot be had any more. */
export type Item<Message> = { case: "message"; number: number; message: Message } | ({ case: "gap" } & Gap);

/** The other side broke the rules of a lane; the session cannot go on. */
export class LaneError extends Error {
  override readonly name = "LaneError";
}

interface Entry<Message> {
  size: number;
  pushedAt: number;
  message: Message;
}

/** Messages on their way out: kept until they are acknowledged, or until the bounds push the oldest ones out. */
export class Outgoing<Message> {
  readonly #bounds: Readonly<Bounds>;
  /** What is neither acknowledged nor dropped, by number, lowest first. */
  readonly #kept = new Map<number, Entry<Message>>();
  #bytes = 0;
  #lastNumber = 0;
  /** All up to here are acknowledged. */
  #received = 0;
  /** Of those beyond `#received`, all up to here were dropped or are acknowledged. */
  #droppedTo = 0;
  /** The first number that this connection was not handed yet. */
  #cursor = 1;
  /** The highest number any connection was handed. */
  #handedTo = 0;

  constructor(bounds: Readonly<Bounds>) {
    this.#bounds = bounds;
  }

  /** Messages that are kept. */
  get length(): number {
    return this.#kept.size;
  }

  /** Whether pushing a message of this size would drop one that is not acknowledged. */
  isFull(now: number, size: number): boolean {
    this.#expire(now);
    return this.#kept.size + 1 > this.#bounds.entries || this.#bytes + size > this.#bounds.bytes;
  }

  /** Takes a message and answers its number. Whatever the bounds do not hold any more is dropped, oldest first. */
  push(now: number, size: number, message: Message): number {
    const number = ++this.#lastNumber;
    this.#kept.set(number, { size, pushedAt: now, message });
    this.#bytes += size;
    this.#expire(now);
    for (const oldest of this.#kept.keys()) {
      if (this.#kept.size <= this.#bounds.entries && this.#bytes <= this.#bounds.bytes) break;
      this.#drop(oldest);
    }
    return number;
  }

  /** What this connection should say next, each once and in order; `null` when there is nothing (yet). */
  next(now: number): Item<Message> | null {
    this.#expire(now);
    if (this.#cursor <= this.#droppedTo) {
      // From the lowest number that is open, so that a receiver's row has no hole.
      const gap: Item<Message> = { case: "gap", first: this.#received + 1, last: this.#droppedTo };
      this.#advance(this.#droppedTo);
      return gap;
    }
    while (this.#cursor <= this.#lastNumber) {
      const number = this.#cursor;
      if (number > this.#received + (this.#bounds.ahead ?? Number.POSITIVE_INFINITY)) return null;
      this.#advance(number);
      const entry = this.#kept.get(number);
      if (entry !== undefined) return { case: "message", number, message: entry.message };
      // Acknowledged while a lower number is still open.
    }
    return null;
  }

  /** The other side has all up to `received`, and those in `beyond`. Throws `LaneError` for what was never said. */
  acknowledge(received: number, beyond: readonly number[] = []): void {
    if (received > this.#handedTo || beyond.length > MAX_BEYOND || beyond.some((number) => number > this.#handedTo)) {
      throw new LaneError("an acknowledgement of what was never sent");
    }
    for (const number of this.#kept.keys()) {
      if (number > received) break;
      this.#forget(number);
    }
    for (const number of beyond) this.#forget(number);
    this.#received = Math.max(this.#received, received);
    this.#cursor = Math.max(this.#cursor, this.#received + 1);
  }

  /**
   * A new connection, whose other side is believed: what it does not have is to be said again, what it had acknowledged
   * and does not name any more as a gap. Throws as `acknowledge` does.
   */
  rewind(received: number, beyond: readonly number[] = []): void {
    const before = this.#received;
    this.acknowledge(received, beyond);
    if (received < before) {
      this.#received = received;
      this.#droppedTo = Math.max(this.#droppedTo, before);
    }
    this.#cursor = this.#received + 1;
  }

  #advance(number: number): void {
    this.#cursor = number + 1;
    this.#handedTo = Math.max(this.#handedTo, number);
  }

  #expire(now: number): void {
    for (const [number, { pushedAt }] of this.#kept) {
      if (now - pushedAt <= this.#bounds.ageMs) break;
      this.#drop(number);
    }
  }

  #drop(number: number): void {
    this.#forget(number);
    this.#droppedTo = number;
  }

  #forget(number: number): void {
    const entry = this.#kept.get(number);
    if (entry === undefined) return;
    this.#kept.delete(number);
    this.#bytes -= entry.size;
  }
}

/** The ordered lane as its receiver sees it. */
export class OrderedIncoming {
  #received = 0;

  /** All up to this number have arrived or were announced as a gap. */
  get received(): number {
    return this.#received;
  }

  /** Whether a message is new. Throws `LaneError` when numbers before it are missing. */
  accept(number: number): boolean {
    if (number < 1) throw new LaneError("numbers begin with 1");
    if (number <= this.#received) return false;
    if (number !== this.#received + 1) throw new LaneError(`ordered message ${number} after ${this.#received}`);
    this.#received = number;
    return true;
  }

  /** What is really missing of an announced gap. Throws `LaneError` when numbers before it are missing. */
  gap({ first, last }: Gap): Gap[] {
    checkGap(first, last);
    if (first > this.#received + 1) throw new LaneError(`a gap from ${first} after ${this.#received}`);
    if (last <= this.#received) return [];
    const missing = { first: this.#received + 1, last };
    this.#received = last;
    return [missing];
  }
}

/** Numbers beyond the first that is missing. */
interface Known extends Gap {
  lost: boolean;
}

/** The large lane as its receiver sees it: any order, but never far ahead of what is missing. */
export class LargeIncoming {
  #received = 0;
  /** Ascending. Each begins at most `MAX_BEYOND` above `#received`, so there are fewer than that. */
  #known: Known[] = [];

  /** All up to this number have arrived or were announced as a gap. */
  get received(): number {
    return this.#received;
  }

  /** What has arrived beyond that, ascending. */
  get beyond(): number[] {
    return this.#known.filter(({ lost }) => !lost).map(({ first }) => first);
  }

  /** Whether a message is new. Throws `LaneError` when too much before it is missing. */
  accept(number: number): boolean {
    return this.#add(number, number, false).length > 0;
  }

  /** What is really missing of an announced gap. Throws `LaneError` when too much before it is missing. */
  gap({ first, last }: Gap): Gap[] {
    return this.#add(first, last, true);
  }

  #add(first: number, last: number, lost: boolean): Gap[] {
    checkGap(first, last);
    if (first > this.#received + MAX_BEYOND) throw new LaneError(`large message ${first} after ${this.#received}`);
    const news = this.#unknown(first, last);
    this.#known.push(...news.map((span) => ({ ...span, lost })));
    this.#known.sort((a, b) => a.first - b.first);
    while (this.#known[0]?.first === this.#received + 1) this.#received = this.#known.shift()?.last ?? this.#received;
    return news;
  }

  /** The parts of `first` to `last` of which nothing is known. */
  #unknown(first: number, last: number): Gap[] {
    const unknown: Gap[] = [];
    let from = Math.max(first, this.#received + 1);
    for (const known of this.#known) {
      if (known.first > last) break;
      if (known.first > from) unknown.push({ first: from, last: known.first - 1 });
      from = Math.max(from, known.last + 1);
    }
    if (from <= last) unknown.push({ first: from, last });
    return unknown;
  }
}

function checkGap(first: number, last: number): void {
  if (first < 1 || last < first) throw new LaneError(`numbers from ${first} to ${last}`);
}
