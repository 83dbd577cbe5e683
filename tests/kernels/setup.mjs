// The ways to run a region, so that the same tests can go by each. ATOLL_SETUP names one: `embedded` (when it is not set), `nats`
// for one process on a real NATS, `apart` for one process of each half there.
import { startEdge as startProcess } from "../browser/edge.mjs";
import { until } from "./kernel.mjs";
import { startNats } from "./nats_server.mjs";

/** What tokens for rooms elsewhere are signed with. */
export const ROOM_SECRET = "the secret of rooms elsewhere";

/** Starts a region, and resolves to its edge when the halves have met. Its `stop` stops all of it. */
export async function startEdge(environment = {}) {
  const setup = process.env.ATOLL_SETUP || "embedded";
  if (setup === "embedded") return startProcess(environment);
  const nats = await startNats();
  return together([() => startRegion(nats, setup, environment)], nats);
}

/** The same on a cluster that is there, which outlives it. */
export async function startRegion(nats, setup, environment = {}) {
  const start = (roles) => () => startAtoll(nats, roles, environment);
  if (setup === "nats") return start("edge,archipelago")();
  if (setup !== "apart") throw new Error(`ATOLL_SETUP may be embedded, nats or apart, not ${setup}`);
  // In this order, so that the edge hears at once that the other half is there.
  const region = await together([start("edge"), start("archipelago")]);
  await until(async () => (await about(region)).comms.healthy, "the halves did not meet");
  return region;
}

/** Starts one process on a cluster, with the roles that `ATOLL_ROLES` may have. */
export function startAtoll(nats, roles, environment = {}) {
  // Whoever is no edge has no rooms of its own, and has to be told of a secret.
  const secret = roles === "archipelago" ? { ATOLL_WS_ROOM__SECRET: ROOM_SECRET } : {};
  return startProcess({ ATOLL_NATS__URL: nats.url, ATOLL_ROLES: roles, ...secret, ...environment });
}

/** What an edge, or another BFF, tells of itself. */
export async function about({ http }) {
  return (await fetch(`${http}/about`)).json();
}

/** The first of what is started, with a `stop` that ends the last first, and then `below`. */
async function together(starts, ...below) {
  const running = [...below];
  const stop = async () => {
    for (const one of [...running].reverse()) await one.stop();
  };
  try {
    for (const start of starts) running.push(await start());
  } catch (error) {
    await stop();
    throw error;
  }
  return { ...running[below.length], stop };
}
