// The picture: a sea, the island under its members' feet, and their avatars, seen from above. North (+z) is up.
import { FADE_MS, type Avatar } from "./avatars.js";
import type { Standing } from "./walker.js";

/** What there is to draw. */
export interface Scene {
  own: Standing & { said: string; saidUntil: number };
  others: Avatar[];
  /** Whether the own avatar stands on an island or swims. */
  seated: boolean;
}

const METRES_ACROSS = 130;
const PARCEL_METRES = 16;
const AVATAR_RADIUS = 11;
/** Pixels that a name takes, and that stay free beside it. */
const NAME_HEIGHT = 14;
const NAME_GAP = 6;

interface Name {
  standing: Standing;
  text: string;
  opacity: number;
}

/** The ground, from the lagoon up: an island is the union of its members' discs. */
const GROUND: ReadonlyArray<readonly [metres: number, colour: string]> = [
  [36, "#0f5a73"],
  [30, "#15728a"],
  [15, "#3fb3ae"],
  [11.5, "#ecd9a8"],
  [8.5, "#7fb685"],
];

/** Draws on a canvas that fills the window. */
export class WorldMap {
  readonly #canvas: HTMLCanvasElement;
  readonly #context: CanvasRenderingContext2D;
  #scale = 1;
  #centre: Standing = { x: 0, z: 0, heading: 0 };

  constructor(canvas: HTMLCanvasElement) {
    const context = canvas.getContext("2d", { alpha: false });
    if (context === null) throw new Error("this browser has no 2D canvas");
    this.#canvas = canvas;
    this.#context = context;
  }

  /** The place under a point of the window. */
  placeAt(left: number, top: number): { x: number; z: number } {
    const { clientWidth, clientHeight } = this.#canvas;
    return {
      x: this.#centre.x + (left - clientWidth / 2) / this.#scale,
      z: this.#centre.z - (top - clientHeight / 2) / this.#scale,
    };
  }

  draw(scene: Scene, now: number): void {
    const { clientWidth: width, clientHeight: height } = this.#canvas;
    const density = window.devicePixelRatio || 1;
    if (this.#canvas.width !== Math.round(width * density) || this.#canvas.height !== Math.round(height * density)) {
      this.#canvas.width = Math.round(width * density);
      this.#canvas.height = Math.round(height * density);
    }
    this.#scale = Math.min(width, height) / METRES_ACROSS;
    this.#centre = scene.own;

    const context = this.#context;
    context.setTransform(density, 0, 0, density, 0, 0);
    context.fillStyle = "#0a3c57";
    context.fillRect(0, 0, width, height);
    if (scene.seated) this.#drawGround([scene.own, ...scene.others.filter((avatar) => avatar.leftAt === null)]);
    this.#drawParcels(width, height);
    // Names last, the nearest first, and none across another one: a crowd stays readable.
    const names: Name[] = [{ standing: scene.own, text: "you", opacity: 1 }];
    const distance = ({ x, z }: Standing): number => Math.hypot(x - scene.own.x, z - scene.own.z);
    for (const avatar of [...scene.others].sort((a, b) => distance(a) - distance(b))) {
      const opacity = avatar.leftAt === null ? 1 : Math.max(0, 1 - (now - avatar.leftAt) / FADE_MS);
      this.#drawAvatar(avatar, `hsl(${hue(avatar.address)} 75% 58%)`, opacity);
      names.push({ standing: avatar, text: shortAddress(avatar.address), opacity });
    }
    this.#drawAvatar(scene.own, "#ffffff", 1);
    this.#drawNames(names);
    for (const avatar of scene.others) if (now < avatar.saidUntil) this.#drawSpeech(avatar, avatar.said);
    if (now < scene.own.saidUntil) this.#drawSpeech(scene.own, scene.own.said);
  }

  #point(place: { x: number; z: number }): [left: number, top: number] {
    return [
      this.#canvas.clientWidth / 2 + (place.x - this.#centre.x) * this.#scale,
      this.#canvas.clientHeight / 2 - (place.z - this.#centre.z) * this.#scale,
    ];
  }

  #drawGround(members: Standing[]): void {
    const context = this.#context;
    for (const [metres, colour] of GROUND) {
      context.fillStyle = colour;
      context.beginPath();
      for (const member of members) {
        const [left, top] = this.#point(member);
        context.moveTo(left, top);
        context.arc(left, top, metres * this.#scale, 0, 2 * Math.PI);
      }
      context.fill();
    }
  }

  #drawParcels(width: number, height: number): void {
    const context = this.#context;
    const from = this.placeAt(0, height);
    const to = this.placeAt(width, 0);
    context.beginPath();
    for (let x = Math.ceil(from.x / PARCEL_METRES) * PARCEL_METRES; x <= to.x; x += PARCEL_METRES) {
      const [left] = this.#point({ x, z: 0 });
      context.moveTo(left, 0);
      context.lineTo(left, height);
    }
    for (let z = Math.ceil(from.z / PARCEL_METRES) * PARCEL_METRES; z <= to.z; z += PARCEL_METRES) {
      const [, top] = this.#point({ x: 0, z });
      context.moveTo(0, top);
      context.lineTo(width, top);
    }
    context.strokeStyle = "rgb(255 255 255 / 7%)";
    context.lineWidth = 1;
    context.stroke();
  }

  #drawAvatar(standing: Standing, colour: string, opacity: number): void {
    const context = this.#context;
    const [left, top] = this.#point(standing);
    context.globalAlpha = opacity;
    context.save();
    context.translate(left, top);
    context.rotate(standing.heading);
    context.beginPath();
    context.moveTo(0, -AVATAR_RADIUS - 8);
    context.lineTo(6, -AVATAR_RADIUS + 1);
    context.lineTo(-6, -AVATAR_RADIUS + 1);
    context.closePath();
    context.fillStyle = "#10222e";
    context.fill();
    context.restore();
    context.beginPath();
    context.arc(left, top, AVATAR_RADIUS, 0, 2 * Math.PI);
    context.fillStyle = colour;
    context.fill();
    context.lineWidth = 3;
    context.strokeStyle = "#10222e";
    context.stroke();
    context.globalAlpha = 1;
  }

  #drawNames(names: Name[]): void {
    const context = this.#context;
    context.font = "600 12px system-ui, sans-serif";
    context.textAlign = "center";
    context.lineWidth = 3;
    context.strokeStyle = "rgb(16 34 46 / 75%)";
    context.fillStyle = "#ffffff";
    const drawn: Array<{ left: number; top: number; half: number }> = [];
    for (const { standing, text, opacity } of names) {
      const [left, above] = this.#point(standing);
      const top = above + AVATAR_RADIUS + 16;
      const half = context.measureText(text).width / 2;
      const covers = drawn.some((other) => {
        return Math.abs(other.top - top) < NAME_HEIGHT && Math.abs(other.left - left) < other.half + half + NAME_GAP;
      });
      if (covers) continue;
      drawn.push({ left, top, half });
      context.globalAlpha = opacity;
      context.strokeText(text, left, top);
      context.fillText(text, left, top);
    }
    context.globalAlpha = 1;
  }

  #drawSpeech(standing: Standing, said: string): void {
    const context = this.#context;
    const [left, top] = this.#point(standing);
    const text = said.length > 40 ? `${said.slice(0, 39)}…` : said;
    context.font = "13px system-ui, sans-serif";
    context.textAlign = "center";
    const width = context.measureText(text).width + 18;
    context.beginPath();
    context.roundRect(left - width / 2, top - AVATAR_RADIUS - 40, width, 26, 13);
    context.fillStyle = "rgb(255 255 255 / 92%)";
    context.fill();
    context.fillStyle = "#10222e";
    context.fillText(text, left, top - AVATAR_RADIUS - 22);
  }
}

/** An address for people to read. */
export function shortAddress(address: string): string {
  return address.length > 12 ? `${address.slice(0, 6)}…${address.slice(-4)}` : address;
}

function hue(address: string): number {
  let sum = 0;
  for (const character of address) sum = (sum * 31 + character.charCodeAt(0)) % 3_600;
  return sum / 10;
}
