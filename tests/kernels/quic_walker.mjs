// A peer on raw QUIC: one walker of `atoll bots`, which tells at its end how much it said and heard.
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { within } from "./kernel.mjs";

/** Far longer than any test; it is told to stop. */
const LONG_S = 600;

/** Starts one that stays within some metres of the origin. `stop` resolves to its summary. */
export function startWalker(scope, edge, { updatesPerSecond, linesPerMinute }) {
  const rates = ["--rate", `${updatesPerSecond}`, "--chat", `${linesPerMinute}`];
  const options = ["--url", edge.http, "--door", "quic", "--count", "1", "--area", "8", "--duration", `${LONG_S}`, "--json"];
  const child = spawn(process.env.ATOLL_BIN, ["bots", ...options, ...rates], { stdio: ["ignore", "pipe", "ignore"] });
  let output = "";
  child.stdout.setEncoding("utf8").on("data", (text) => (output += text));
  const end = once(child, "close");
  // Whatever ends this process ends the walker.
  const kill = () => child.kill("SIGKILL");
  process.once("exit", kill);
  void end.then(() => process.off("exit", kill));
  scope.after(async () => {
    kill();
    await end;
  });
  return {
    stop: async () => {
      child.kill("SIGINT");
      const [code] = await within(end, "the walker did not end");
      assert.equal(code, 0, output);
      return JSON.parse(output);
    },
  };
}
