// Starts and stops a real edge: the binary that ATOLL_BIN names, on free ports, with a state directory of its own.
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";

const START_MS = 20_000;
const STOP_MS = 10_000;

/**
 * Resolves when every door is open: `{ http, quic, sha256, restart, stop }`. `stop` asserts a clean end within 10 s.
 * `environment` has variables for it beyond this process's own.
 */
export async function startEdge(environment = {}) {
  const state = await mkdtemp(join(tmpdir(), "atoll-browser-edge-"));
  const forget = () => rm(state, { recursive: true, force: true });
  let running;
  try {
    running = await serve(environment, state, { http: "127.0.0.1:0", quic: "127.0.0.1:0" });
  } catch (error) {
    await forget();
    throw error;
  }
  const { http, quic, certificate_sha256: sha256 } = running.ready;
  let stopping;
  return {
    http,
    quic,
    sha256,
    /** Kills it, and starts another at its addresses with what it left behind. */
    restart: async () => {
      await running.kill();
      running = await serve(environment, state, { http: new URL(http).host, quic: new URL(quic).host });
    },
    /** May be called again; the edge ends once. */
    stop: () => (stopping ??= running.stop().finally(forget)),
  };
}

/** One process, until it ends: `{ ready, kill, stop }`. */
async function serve(environment, state, { http, quic }) {
  const binary = process.env.ATOLL_BIN;
  assert.ok(binary, "ATOLL_BIN must name the edge's binary");
  const doors = ["--quic", quic, "--http", http, "--livekit", "127.0.0.1:0"];
  const child = spawn(binary, ["serve", ...doors, "--state-dir", state, "--ready-json"], {
    env: { ...process.env, ...environment },
    stdio: ["ignore", "pipe", "pipe"],
  });
  let log = "";
  child.stderr.setEncoding("utf8").on("data", (text) => (log = (log + text).slice(-8_192)));
  const exit = once(child, "exit");
  // Whatever ends this process ends the edge.
  const kill = () => child.kill("SIGKILL");
  process.once("exit", kill);
  child.once("exit", () => process.off("exit", kill));

  let ready;
  try {
    ready = JSON.parse(await within(START_MS, firstLine(child, exit), "the edge is not ready"));
  } catch (error) {
    kill();
    throw new Error(`the edge did not start: ${error.message}\n${log}`);
  }
  return {
    ready,
    kill: async () => {
      kill();
      await exit;
    },
    stop: async () => {
      child.kill("SIGTERM");
      try {
        const [code, signal] = await within(STOP_MS, exit, "the edge did not end");
        assert.deepEqual({ code, signal }, { code: 0, signal: null }, `the edge's end\n${log}`);
      } finally {
        kill();
      }
    },
  };
}

async function firstLine(child, exit) {
  const lines = createInterface({ input: child.stdout });
  const [line] = await Promise.race([
    once(lines, "line"),
    exit.then(([code, signal]) => Promise.reject(new Error(`it ended with ${code ?? signal}`))),
  ]);
  // What it prints from now on is read and dropped.
  return line;
}

async function within(milliseconds, promise, message) {
  let timer;
  const timeout = new Promise((_, reject) => {
    timer = setTimeout(() => reject(new Error(`${message} within ${milliseconds} ms`)), milliseconds);
  });
  try {
    return await Promise.race([promise, timeout]);
  } finally {
    clearTimeout(timer);
  }
}
