// How long to wait before the next attempt to connect.

const FIRST_MS = 500;
const LONGEST_MS = 15_000;

/** Exponential backoff with full jitter: anything between nothing and a bound that doubles. */
export class Backoff {
  readonly #random: () => number;
  #bound = FIRST_MS;

  constructor(random: () => number = Math.random) {
    this.#random = random;
  }

  /** Milliseconds to wait now. */
  next(): number {
    const wait = this.#random() * this.#bound;
    this.#bound = Math.min(this.#bound * 2, LONGEST_MS);
    return wait;
  }
}
