// Waiting for things instead of for time.
import assert from "node:assert/strict";

/** A promise of the next event of this name. */
export const next = (client, name) => new Promise((resolve) => {
  const stop = client.on(name, (event) => {
    stop();
    resolve(event);
  });
});

/** Waits until `condition` holds. */
export async function until(condition, withinMs = 4_000) {
  const end = performance.now() + withinMs;
  while (!condition()) {
    assert.ok(performance.now() < end, `not within ${withinMs} ms: ${condition}`);
    await new Promise((resolve) => setImmediate(resolve));
  }
}
