// Kernels until September 2022 in a WebSocket room: the package that they shipped, as it is, in Chromium.
import { openPackages } from "./package_page.mjs";
import { Member } from "./room_member.mjs";
import { SUMMER_WORDS } from "./room_words.mjs";

/** Opens a tab with the package in it. */
export function openSummerPage(scope, chromium) {
  return openPackages(scope, chromium, 'export { createTransport } from "@dcl/comms3-transports";');
}

/** One transport of the package. */
export class SummerRoom extends Member {
  /** Makes the transport that an island change asks for, as that kernel does, and connects it. */
  static async enter(page, address, { connStr, islandId }, former = undefined) {
    const room = await page.evaluateHandle(
      async ({ address, connStr, islandId, former }) => {
        const logger = { error: console.error, log: () => {}, warn: console.error, info: () => {}, trace: () => {} };
        const config = { logger, peerId: address, bff: {}, ws: { verbose: true }, livekit: {}, p2p: {} };
        const transport = window.packages.createTransport(config, { connStr, islandId, peers: {} });
        const room = { transport, heard: former?.heard ?? [], disconnected: 0, code: null };
        transport.onMessageObservable.add(({ peer, payload }) => room.heard.push([peer, Array.from(payload)]));
        transport.onDisconnectObservable.add(() => room.disconnected++);
        await transport.connect();
        transport.ws.addEventListener("close", ({ code }) => (room.code = code));
        return room;
      },
      { address, connStr, islandId, former: former?.#room },
    );
    return new SummerRoom(address, room, former);
  }

  #room;

  constructor(address, room, former) {
    super(address, SUMMER_WORDS, former);
    this.#room = room;
  }

  /** Which transport of the package it is, whether it was told to be disconnected, and by which code its socket was closed. */
  state() {
    return this.#room.evaluate(({ transport, disconnected, code }) => ({ name: transport.name, disconnected, code }));
  }

  /** Whom it has heard of. */
  others() {
    return this.#room.evaluate(({ transport }) => ({ ...transport.aliases }));
  }

  async send(packets) {
    const hinted = packets.map(({ sort, body }) => {
      // Profiles come with who it is, and the rest without.
      const hints = { reliable: !["update", "voice"].includes(sort), identity: ["profile", "request"].includes(sort) };
      return { bytes: Array.from(body), hints };
    });
    await this.#room.evaluate(async ({ transport }, packets) => {
      for (const { bytes, hints } of packets) await transport.send(Uint8Array.from(bytes), hints);
    }, hinted);
  }

  async refresh() {
    const heard = await this.#room.evaluate((room) => room.heard.splice(0));
    for (const [peer, bytes] of heard) this.hear(peer, Uint8Array.from(bytes));
  }

  /** Who left is not told, so nobody is missed: whether all of these were introduced. */
  async isAmong(addresses) {
    const known = new Set(Object.values(await this.others()));
    return addresses.every((address) => known.has(address));
  }

  leave() {
    return this.#room.evaluate(({ transport }) => transport.disconnect());
  }
}
