// Kernels since the end of September 2022 in a WebSocket room: RFC-5 by the codecs they shipped, in the steps of their adapter.
import { createRequire } from "node:module";
import { WebSocket } from "ws";
import { within } from "./kernel.mjs";
import { Member, complaints } from "./room_member.mjs";
import { RFC4_WORDS, UNRELIABLE } from "./room_words.mjs";

const require = createRequire(import.meta.url);
const { WsPacket } = require("@dcl/protocol/out-js/decentraland/kernel/comms/rfc5/ws_comms.gen.js");

/** One socket in a room. */
export class Rfc5Room extends Member {
  /** Enters a room by its URL: with a token in it, or by the challenge that is signed then. */
  static async enter(scope, url, identity, former = undefined) {
    const room = new Rfc5Room(url, identity, former);
    scope.after(() => room.leave());
    await within(room.#welcomed, `${identity.address} is not welcome`);
    return room;
  }

  /** Enters by the connection string of an island. */
  static byString(scope, connectionString, identity, former = undefined) {
    return Rfc5Room.enter(scope, connectionString.replace(/^ws-room:/, ""), identity, former);
  }

  #socket;
  #others = {};
  #welcomed;
  #welcome;

  constructor(url, identity, former) {
    super(identity.address, RFC4_WORDS, former);
    this.identity = identity;
    /** Its own alias, and what it was told: whether it was asked to sign, why it was kicked, who came and went. */
    this.alias = null;
    this.wasChallenged = false;
    this.kicked = null;
    this.joins = [];
    this.leaves = [];
    const socket = new WebSocket(url, ["rfc5", "rfc4"]);
    this.#socket = socket;
    this.closed = new Promise((resolve) => socket.once("close", (code) => resolve(code)));
    this.#welcomed = new Promise((resolve, reject) => {
      this.#welcome = resolve;
      socket.on("error", reject);
      void this.closed.then((code) => reject(new Error(`closed with ${code}`)));
    });
    // Told to whoever waits for it.
    this.#welcomed.catch(() => {});
    // Kernels tell who they are before they know whether they are asked.
    socket.once("open", () => this.#packet("peerIdentification", { address: identity.address }));
    socket.on("message", (bytes) => this.#take(WsPacket.decode(bytes).message));
  }

  get isOpen() {
    return this.#socket.readyState === WebSocket.OPEN;
  }

  get protocol() {
    return this.#socket.protocol;
  }

  async others() {
    return { ...this.#others };
  }

  async send(packets) {
    for (const { sort, body } of packets) {
      // The alias is the server's to write.
      this.#packet("peerUpdateMessage", { fromAlias: 77, body, unreliable: UNRELIABLE.includes(sort) });
    }
  }

  /** Closes the socket, as kernels leave. */
  async leave() {
    this.#socket.close();
    await within(this.closed, "not closed");
  }

  /** Ends as a process does that is killed. */
  drop() {
    this.#socket.terminate();
  }

  #packet($case, value) {
    this.#socket.send(WsPacket.encode({ message: { $case, [$case]: value } }).finish());
  }

  #take(message) {
    const isIn = this.alias !== null;
    if (!isIn && !["challengeMessage", "welcomeMessage", "peerKicked"].includes(message?.$case)) {
      complaints.push(`${message?.$case} before the welcome`);
    }
    switch (message?.$case) {
      case "challengeMessage": {
        this.wasChallenged = true;
        const { challengeToSign } = message.challengeMessage;
        const authChainJson = JSON.stringify(this.identity.sign(challengeToSign));
        this.#packet("signedChallengeForServer", { authChainJson });
        return;
      }
      case "welcomeMessage":
        if (isIn) complaints.push("welcomed twice");
        this.alias = message.welcomeMessage.alias;
        this.#others = { ...message.welcomeMessage.peerIdentities };
        this.#welcome();
        return;
      case "peerJoinMessage": {
        const { alias, address } = message.peerJoinMessage;
        if (alias === this.alias || alias in this.#others) complaints.push(`${address} joined twice`);
        this.#others[alias] = address;
        this.joins.push(address);
        return;
      }
      case "peerLeaveMessage": {
        const { alias } = message.peerLeaveMessage;
        if (!(alias in this.#others)) complaints.push(`${alias} left and was not there`);
        this.leaves.push(this.#others[alias]);
        delete this.#others[alias];
        return;
      }
      case "peerUpdateMessage": {
        const { fromAlias, body } = message.peerUpdateMessage;
        if (!(fromAlias in this.#others)) complaints.push(`${fromAlias} spoke and was not there`);
        this.hear(this.#others[fromAlias], body);
        return;
      }
      case "peerKicked":
        this.kicked = message.peerKicked.reason;
        return;
      default:
        complaints.push(`${message?.$case} from the server`);
    }
  }
}
