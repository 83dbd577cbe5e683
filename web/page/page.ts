// The page that an edge serves: puts one world on the screen and hands it to tests as `window.atoll`.
import type { AtollClient, ConnectOptions, Stats, Way } from "../src/index.js";
import { shortAddress, WorldMap } from "./map.js";
import { freshKeys, identity } from "./wallet.js";
import { World, type Line } from "./world.js";

/** What tests and the curious find as `window.atoll`. Everything but the client and the functions is a copy of this moment. */
interface AtollPage {
  readonly address: string;
  readonly state: string;
  readonly islandId: string | null;
  readonly tag: number | null;
  /** Addresses of everybody seated, the own one included. */
  readonly members: string[];
  readonly position: { x: number; y: number; z: number };
  /** The last place heard of each address, and how many updates came. */
  readonly received: World["received"];
  readonly lines: Line[];
  readonly lastError: string | null;
  readonly closed: World["closed"];
  readonly stats: Readonly<Stats> | null;
  /** What carries the session; `null` while there is no connection. */
  readonly way: Way | null;
  /** When the first login was over, in milliseconds since the page was opened. */
  readonly connectedAt: number | null;
  /** What is behind the page. */
  readonly client: AtollClient | null;
  /** Walks there at 20 m/s, or `speed`; resolves to whether it arrived. */
  walkTo(x: number, z: number, speed?: number): Promise<boolean>;
  say(text: string): boolean;
}

declare global {
  interface Window {
    atoll: AtollPage;
  }
}

const START_METRES = 16;
const WALK_TO_SPEED = 20;
const CLICK_SPEED = 10;

const world = new World(location.origin, identity(freshKeys()), startPlace(), options());
const map = new WorldMap(element("map", HTMLCanvasElement));

window.atoll = {
  get address() {
    return world.address;
  },
  get state() {
    return world.state;
  },
  get islandId() {
    return world.islandId;
  },
  get tag() {
    return world.tag;
  },
  get members() {
    return [...world.members];
  },
  get position() {
    return { x: world.walker.x, y: 0, z: world.walker.z };
  },
  get received() {
    return structuredClone(world.received);
  },
  get lines() {
    return structuredClone(world.lines);
  },
  get lastError() {
    return world.lastError;
  },
  get closed() {
    return world.closed;
  },
  get stats() {
    return world.client === null ? null : { ...world.client.stats };
  },
  get way() {
    return world.client?.way ?? null;
  },
  get connectedAt() {
    return world.connectedAt;
  },
  get client() {
    return world.client;
  },
  walkTo: (x, z, speed = WALK_TO_SPEED) => world.walker.walkTo(x, z, speed),
  say: (text) => world.say(text),
};

listen();
animate();
setInterval(showRates, 1_000);
world.changed = show;
show();
void world.stay();

function startPlace(): { x: number; z: number } {
  const query = new URLSearchParams(location.search);
  const read = (name: string): number => {
    const value = Number.parseFloat(query.get(name) ?? "");
    return Number.isFinite(value) ? value : Math.round((Math.random() - 0.5) * START_METRES);
  };
  return { x: read("x"), z: read("z") };
}

/** `?upgrade=<ms>`: how often the page tries WebTransport again while it is on the WebSocket. */
function options(): Partial<ConnectOptions> {
  const upgradeAfterMs = Number.parseInt(new URLSearchParams(location.search).get("upgrade") ?? "", 10);
  return Number.isFinite(upgradeAfterMs) ? { upgradeAfterMs } : {};
}

function listen(): void {
  const input = element("say", HTMLInputElement);
  window.addEventListener("keydown", (event) => {
    if (event.target === input) {
      if (event.code === "Escape") input.blur();
      return;
    }
    if (event.code === "Enter") input.focus();
    if (!event.ctrlKey && !event.metaKey && !event.altKey && world.walker.press(event.code)) event.preventDefault();
  });
  window.addEventListener("keyup", (event) => world.walker.release(event.code));
  // Else the edge would keep the seat, for a tab that may only have lost its network.
  window.addEventListener("pagehide", () => world.client?.close("the page was left"));
  window.addEventListener("blur", () => world.walker.releaseAll());
  input.addEventListener("focus", () => world.walker.releaseAll());
  element("map", HTMLCanvasElement).addEventListener("click", (event) => {
    const { x, z } = map.placeAt(event.clientX, event.clientY);
    void world.walker.walkTo(x, z, CLICK_SPEED);
  });
  element("chat", HTMLFormElement).addEventListener("submit", (event) => {
    event.preventDefault();
    if (world.say(input.value.trim())) input.value = "";
  });
}

function animate(): void {
  const now = performance.now();
  const { x, z, heading } = world.walker;
  const own = { x, z, heading, said: world.said, saidUntil: world.saidUntil };
  map.draw({ own, others: world.avatars.at(now), seated: world.islandId !== null }, now);
  text("place", `${x.toFixed(1)}, ${z.toFixed(1)}`);
  requestAnimationFrame(animate);
}

function show(): void {
  document.body.dataset["state"] = world.state;
  text("state", world.state);
  text("way", world.client?.way ?? "–");
  text("notice", world.notice);
  text("island", world.islandId ?? "–");
  text("members", String(world.members.length));
  text("tag", world.tag === null ? "–" : world.tag.toString(16).padStart(8, "0"));
  text("address", shortAddress(world.address));
  text("error", world.lastError ?? "none");
  const log = element("log", HTMLElement);
  log.replaceChildren(...world.lines.slice(-8).map(lineElement));
}

function lineElement(line: Line): HTMLElement {
  const row = document.createElement("p");
  const name = document.createElement("b");
  name.textContent = `${shortAddress(line.from)} `;
  row.append(name, line.text);
  return row;
}

let lastCounts = { received: 0, sent: 0, at: performance.now() };

function counted(): { received: number; sent: number } {
  const stats = world.client?.stats;
  return { received: stats?.packetsReceived ?? 0, sent: stats?.datagramsSent ?? 0 };
}

function showRates(): void {
  const counts = { ...counted(), at: performance.now() };
  const seconds = (counts.at - lastCounts.at) / 1_000;
  // A new client counts from 0.
  const rate = (now: number, before: number): string => (Math.max(0, now - before) / seconds).toFixed(0);
  text("rates", `${rate(counts.received, lastCounts.received)} in, ${rate(counts.sent, lastCounts.sent)} out`);
  lastCounts = counts;
}

function text(id: string, value: string): void {
  const node = element(id, HTMLElement);
  if (node.textContent !== value) node.textContent = value;
}

function element<Type extends HTMLElement>(id: string, type: new () => Type): Type {
  const found = document.getElementById(id);
  if (!(found instanceof type)) throw new Error(`the page has no #${id}`);
  return found;
}
