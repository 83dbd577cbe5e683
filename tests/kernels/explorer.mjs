// Explorers since April 2023, who speak to archipelago's own WebSocket.
import assert from "node:assert/strict";
import { createRequire } from "node:module";
import { WebSocket } from "ws";
import { within } from "./kernel.mjs";

const require = createRequire(import.meta.url);
const codec = require("@dcl/protocol/out-js/decentraland/kernel/comms/v3/archipelago.gen.js");
const { ClientPacket, ServerPacket } = codec;

/** One connection to archipelago's WebSocket, not logged in. */
export class Explorer {
  /** Opens one for the length of a test. */
  static async open(t, edge, path = "/archipelago/ws") {
    const socket = new WebSocket(`${edge.http.replace("http", "ws")}${path}`, "archipelago");
    const explorer = new Explorer(socket);
    t.after(() => socket.close());
    await within(new Promise((resolve, reject) => socket.once("open", resolve).once("error", reject)), "not open");
    return explorer;
  }

  constructor(socket) {
    this.socket = socket;
    this.packets = [];
    this.wake = () => {};
    this.closed = new Promise((resolve) => socket.once("close", (code, reason) => resolve({ code, reason: `${reason}` })));
    socket.on("message", (bytes) => {
      this.packets.push(ServerPacket.decode(bytes).message);
      this.wake();
    });
    socket.on("error", () => {});
  }

  send($case, value) {
    this.socket.send(ClientPacket.encode({ message: { $case, [$case]: value } }).finish());
  }

  /** The first packet of this kind that `wanted` takes, now or later. */
  async first($case, wanted = () => true) {
    const search = async () => {
      for (;;) {
        const found = this.packets.find((packet) => packet.$case === $case && wanted(packet[$case]));
        if (found) return found[$case];
        await new Promise((resolve) => (this.wake = resolve));
      }
    };
    return within(search(), `no ${$case}`);
  }

  /** Resolves to the challenge. */
  async logIn(identity) {
    this.send("challengeRequest", { address: identity.address });
    const challenge = await this.first("challengeResponse");
    const authChainJson = JSON.stringify(identity.sign(challenge.challengeToSign));
    this.send("signedChallenge", { authChainJson });
    const { peerId } = await this.first("welcome");
    assert.equal(peerId, identity.address);
    return challenge;
  }

  /** Tells where it stands until the test ends. Returns what moves it elsewhere. */
  keepStanding(t, x, z) {
    let position;
    const beat = () => this.send("heartbeat", { position });
    const standAt = (x, z) => {
      position = { x, y: 0, z };
      beat();
    };
    standAt(x, z);
    const timer = setInterval(beat, 500);
    t.after(() => clearInterval(timer));
    return standAt;
  }
}
