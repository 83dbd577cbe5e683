// The own avatar's walk: by keys, or to a place.

/** A place on the ground and where the avatar looks. Metres; radians, 0 is north (+z), clockwise. */
export interface Standing {
  x: number;
  z: number;
  heading: number;
}

const WALK = 6;
const RUN = 12;
/** A step never covers more than this, even when the browser let the page sleep. */
const LONGEST_STEP_SECONDS = 1;

const DIRECTIONS: Readonly<Record<string, readonly [x: number, z: number]>> = {
  ArrowUp: [0, 1],
  KeyW: [0, 1],
  ArrowDown: [0, -1],
  KeyS: [0, -1],
  ArrowLeft: [-1, 0],
  KeyA: [-1, 0],
  ArrowRight: [1, 0],
  KeyD: [1, 0],
};

interface Target {
  x: number;
  z: number;
  speed: number;
  done: (arrived: boolean) => void;
}

/** Moves an avatar. Call `step` regularly. */
export class Walker {
  x: number;
  z: number;
  heading = 0;
  readonly #pressed = new Set<string>();
  #target: Target | null = null;

  constructor(x: number, z: number) {
    this.x = x;
    this.z = z;
  }

  /** Walks straight to a place, at `speed` metres a second. Resolves to whether it arrived: another walk may come first. */
  walkTo(x: number, z: number, speed: number): Promise<boolean> {
    this.#stop(false);
    return new Promise((done) => (this.#target = { x, z, speed, done }));
  }

  /** Takes a key that went down; answers whether it was one for walking. `code` as in KeyboardEvent. */
  press(code: string): boolean {
    if (code !== "ShiftLeft" && code !== "ShiftRight" && DIRECTIONS[code] === undefined) return false;
    this.#pressed.add(code);
    return DIRECTIONS[code] !== undefined;
  }

  release(code: string): void {
    this.#pressed.delete(code);
  }

  releaseAll(): void {
    this.#pressed.clear();
  }

  /** Goes on for this many seconds. */
  step(seconds: number): void {
    const time = Math.min(seconds, LONGEST_STEP_SECONDS);
    const [x, z] = this.#keys();
    const length = Math.hypot(x, z);
    if (length > 0) {
      this.#stop(false);
      const running = this.#pressed.has("ShiftLeft") || this.#pressed.has("ShiftRight");
      const metres = ((running ? RUN : WALK) * time) / length;
      this.#advance(x * metres, z * metres);
    } else if (this.#target !== null) this.#approach(this.#target, time);
  }

  #approach(target: Target, time: number): void {
    const x = target.x - this.x;
    const z = target.z - this.z;
    const distance = Math.hypot(x, z);
    const metres = target.speed * time;
    if (distance <= metres) {
      if (distance > 0) this.#advance(x, z);
      // Exactly there, whatever rounding did on the way.
      this.x = target.x;
      this.z = target.z;
      this.#stop(true);
      return;
    }
    this.#advance((x / distance) * metres, (z / distance) * metres);
  }

  #advance(x: number, z: number): void {
    this.x += x;
    this.z += z;
    this.heading = Math.atan2(x, z);
  }

  #stop(arrived: boolean): void {
    const target = this.#target;
    this.#target = null;
    target?.done(arrived);
  }

  #keys(): [x: number, z: number] {
    let x = 0;
    let z = 0;
    for (const code of this.#pressed) {
      const direction = DIRECTIONS[code];
      if (direction === undefined) continue;
      x += direction[0];
      z += direction[1];
    }
    return [x, z];
  }
}
