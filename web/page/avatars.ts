// The others: where they were last heard of, and where they are drawn meanwhile.
import type { Standing } from "./walker.js";

/** Another member's avatar. */
export interface Avatar extends Standing {
  address: string;
  /** What it said, until `saidUntil`. */
  said: string;
  saidUntil: number;
  /** When it left the island, or `null`: it fades away. */
  leftAt: number | null;
}

/** Milliseconds for which somebody who left is still drawn. */
export const FADE_MS = 1_200;
const SPEECH_MS = 6_000;
/** A step between two positions is spread over the time between them, within these bounds. */
const SHORTEST_GLIDE_MS = 50;
const LONGEST_GLIDE_MS = 300;

interface Glide {
  avatar: Avatar;
  from: Standing;
  to: Standing;
  start: number;
  duration: number;
}

/** Keeps one avatar for each member that was heard of. Times are in milliseconds, of one clock. */
export class Avatars {
  readonly #glides = new Map<string, Glide>();

  /** Somebody's newest place. */
  place(address: string, to: Standing, now: number): void {
    const glide = this.#glides.get(address);
    if (glide === undefined || glide.avatar.leftAt !== null) {
      const avatar = { ...to, address, said: "", saidUntil: 0, leftAt: null };
      this.#glides.set(address, { avatar, from: to, to, start: now, duration: SHORTEST_GLIDE_MS });
      return;
    }
    glide.duration = Math.min(Math.max(now - glide.start, SHORTEST_GLIDE_MS), LONGEST_GLIDE_MS);
    glide.from = { x: glide.avatar.x, z: glide.avatar.z, heading: glide.avatar.heading };
    glide.to = to;
    glide.start = now;
  }

  /** Somebody said something. */
  say(address: string, text: string, now: number): void {
    const avatar = this.#glides.get(address)?.avatar;
    if (avatar === undefined) return;
    avatar.said = text;
    avatar.saidUntil = now + SPEECH_MS;
  }

  /** Only these are here now; the others fade. */
  keep(addresses: ReadonlySet<string>, now: number): void {
    for (const { avatar } of this.#glides.values()) {
      if (!addresses.has(avatar.address)) avatar.leftAt ??= now;
    }
  }

  /** Everybody to draw at this moment. */
  at(now: number): Avatar[] {
    const avatars: Avatar[] = [];
    for (const [address, glide] of this.#glides) {
      const { avatar, from, to } = glide;
      if (avatar.leftAt !== null && now - avatar.leftAt > FADE_MS) {
        this.#glides.delete(address);
        continue;
      }
      const part = Math.min(Math.max((now - glide.start) / glide.duration, 0), 1);
      avatar.x = from.x + (to.x - from.x) * part;
      avatar.z = from.z + (to.z - from.z) * part;
      avatar.heading = from.heading + shortestTurn(from.heading, to.heading) * part;
      avatars.push(avatar);
    }
    return avatars;
  }
}

function shortestTurn(from: number, to: number): number {
  const turn = (to - from) % (2 * Math.PI);
  if (turn > Math.PI) return turn - 2 * Math.PI;
  return turn < -Math.PI ? turn + 2 * Math.PI : turn;
}
