// What an edge accepts, whether it says so or not.
import { MAX_LARGE_BYTES, MAX_ORDERED_BYTES } from "./lane-streams.js";
import type { Limits } from "./messages.js";

/** What an edge takes that does not say. */
const DEFAULT_LIMITS: Readonly<Limits> = {
  maxMessageBytes: 65_536,
  maxPayloadBytes: 1_100,
  heartbeatIntervalMs: 1_000,
  maxOrderedBytes: MAX_ORDERED_BYTES,
  maxLargeBytes: MAX_LARGE_BYTES,
};

/** The limits of a welcome, and the protocol's own for what it does not say. */
export function withDefaults(limits: Limits): Limits {
  const said = Object.entries(limits).filter(([, limit]) => limit > 0);
  return { ...DEFAULT_LIMITS, ...Object.fromEntries(said) };
}
