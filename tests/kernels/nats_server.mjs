// A real nats-server on a loopback port, which can be killed and started again, and an ear on what is said there.
import { spawn } from "node:child_process";
import { randomInt } from "node:crypto";
import { once } from "node:events";
import { createInterface } from "node:readline";
import { connect } from "nats";
import { until, within } from "./kernel.mjs";

const LOOPBACK = "127.0.0.1";

/** Below the ports that the system hands out, so that the port of a killed server is not taken in the meantime. */
const PORTS = [10_000, 30_000];

/** Ports that may be taken before it is given up. */
const ATTEMPTS = 20;

/**
 * Starts the server that NATS_SERVER names, or that of the path: `{ url, kill, start, stop }`. `kill` ends it as a power
 * cut does, `start` starts it again at the same port, `stop` ends it for good.
 */
export async function startNats() {
  let running;
  let port;
  for (let attempt = 0; !running; attempt++) {
    port = randomInt(...PORTS);
    try {
      running = await serve(port);
    } catch (error) {
      if (attempt === ATTEMPTS || !/address already in use/.test(error.message)) throw error;
    }
  }
  return {
    url: `nats://${LOOPBACK}:${port}`,
    kill: () => running.end("SIGKILL"),
    start: async () => {
      running = await serve(port);
    },
    stop: () => running.end("SIGTERM"),
  };
}

/** How others of these tests join a cluster: they come back as soon as it does. */
export function join(nats, name) {
  const coming = { reconnectTimeWait: 50, reconnectJitter: 0, maxReconnectAttempts: -1 };
  return within(connect({ servers: nats.url, name, ...coming }), `${name} does not reach NATS`);
}

/** Hears what goes over the cluster: `messages`, in order, each `{ subject, data, headers }`. */
export async function eavesdrop(t, nats, ...subjects) {
  const bus = await join(nats, "eavesdropper");
  t.after(() => bus.close());
  const messages = [];
  const callback = (error, message) => error ?? messages.push(message);
  for (const subject of subjects) bus.subscribe(subject, { callback });
  // Answered when the server has taken the subscriptions.
  await within(bus.flush(), "NATS does not answer");
  return {
    messages,
    /** The first message that `wanted` takes, now or later. */
    async first(wanted, what) {
      let found;
      await until(() => (found = messages.find(wanted)), `nothing on NATS: ${what}`);
      return found;
    },
  };
}

async function serve(port) {
  const child = spawn(process.env.NATS_SERVER || "nats-server", ["-a", LOOPBACK, "-p", `${port}`], {
    stdio: ["ignore", "ignore", "pipe"],
  });
  const failed = new Promise((_, reject) => {
    child.once("error", ({ message }) => reject(new Error(`NATS_SERVER or the path must name nats-server: ${message}`)));
  });
  failed.catch(() => {});
  const exit = Promise.race([once(child, "exit"), failed]);
  exit.catch(() => {});
  // Whatever ends this process ends the server.
  const kill = () => child.kill("SIGKILL");
  process.once("exit", kill);
  const forget = () => process.off("exit", kill);
  exit.then(forget, forget);

  let log = "";
  const ready = new Promise((resolve) => {
    createInterface({ input: child.stderr }).on("line", (line) => {
      log = `${log}${line}\n`.slice(-4_096);
      if (line.includes("Server is ready")) resolve();
    });
  });
  const gone = exit.then(([code, signal]) => Promise.reject(new Error(`nats-server ended with ${code ?? signal}\n${log}`)));
  gone.catch(() => {});
  try {
    await within(Promise.race([ready, gone]), "nats-server is not ready");
  } catch (error) {
    kill();
    throw error;
  }
  return {
    async end(signal) {
      child.kill(signal);
      try {
        await within(exit, "nats-server did not end");
      } finally {
        kill();
      }
    },
  };
}
