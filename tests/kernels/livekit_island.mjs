// An island in which everybody sits: LiveKit's clients of all ages, each sent there by the session of its kernel, a WebTransport tab,
// and a kernel in the island's WebSocket room.
import { startChromium } from "../browser/chromium.mjs";
import { startTcpProxy } from "../browser/udp-proxy.mjs";
import { Company } from "./company.mjs";
import { KERNEL_2022, KERNEL_2023, newIdentity } from "./kernel.mjs";
import { NodeRoom, disposeNodeRooms } from "./livekit_node_room.mjs";
import { FirstRoom, SecondRoom, TransportRoom, openLivekitPage } from "./livekit_page_room.mjs";
import { WITH_LIVEKIT } from "./livekit_token.mjs";
import { Rfc5Room } from "./rfc5_room.mjs";
import { explorerSession, kernelSession } from "./room_session.mjs";
import { SUMMER_WORDS } from "./room_words.mjs";
import { startEdge } from "./setup.mjs";
import { withMicrophone } from "./speech.mjs";
import { TabRoom } from "./tab_room.mjs";

const HERE = [1, 1];

/** Those on LiveKit: what sends them there, and the client that they then use. */
export const CLIENTS = {
  transport: { kernel: KERNEL_2022, Room: TransportRoom, words: SUMMER_WORDS },
  first: { kernel: KERNEL_2023, Room: FirstRoom },
  second: { kernel: null, Room: SecondRoom },
  node: { kernel: null, Room: NodeRoom },
};

/** Everybody, and the edge they are on. */
export class LivekitIsland {
  /** Starts an edge, and brings everybody there for as long as the scope lasts. */
  static async open(scope, environment = {}) {
    const island = new LivekitIsland(scope);
    scope.after(disposeNodeRooms);
    island.edge = await startEdge({ ...WITH_LIVEKIT, ...environment });
    scope.after(island.edge.stop);
    island.proxy = await startTcpProxy(Number(new URL(island.edge.http).port));
    scope.after(island.proxy.stop);
    island.chromium = await startChromium(await withMicrophone(scope));
    scope.after(island.chromium.stop);
    island.page = await openLivekitPage(scope, island.chromium);
    island.tab = await TabRoom.open(island.chromium, island.edge, HERE[0]);
    await island.tab.tab.untilMembers([island.tab.address]);
    island.id = (await island.tab.seat()).name;
    for (const name of Object.keys(CLIENTS)) {
      await island.logIn(name);
      await island.enter(name);
    }
    island.sessions.ws = await explorerSession(scope, island.edge, await newIdentity(), HERE);
    await island.sessions.ws.island(island.isHere);
    await island.enterWs();
    return island;
  }

  #scope;
  /** Sessions and members, by the names of `CLIENTS` and `ws`. */
  sessions = {};
  rooms = {};
  isHere = ({ islandId }) => islandId === this.id;

  constructor(scope) {
    this.#scope = scope;
  }

  /** Those in LiveKit rooms. */
  get livekit() {
    return Object.keys(CLIENTS).map((name) => this.rooms[name]);
  }

  /** Everybody. */
  get company() {
    return new Company(this.tab, ...Object.values(this.rooms));
  }

  /** All but these. */
  without(...members) {
    return new Company(...this.company.members.filter((member) => !members.includes(member)));
  }

  /** Logs a client's kernel in; anew, if it is known. */
  async logIn(name) {
    const { kernel } = CLIENTS[name];
    const identity = this.sessions[name]?.identity ?? (await newIdentity());
    this.sessions[name] = kernel
      ? await kernelSession(this.#scope, this.edge, kernel, identity, HERE)
      : await explorerSession(this.#scope, this.edge, identity, HERE);
  }

  /** The string by which a session is sent to the island. */
  async stringOf(name) {
    const { connStr } = await this.sessions[name].island(this.isHere);
    return connStr;
  }

  /** Enters by what the session was told, with signals that go through the proxy. `former` is the connection that it goes on from. */
  async enter(name, { former = undefined, ...options } = {}) {
    const string = (await this.stringOf(name)).replace(new URL(this.edge.http).host, `127.0.0.1:${this.proxy.port}`);
    const { Room, words } = CLIENTS[name];
    const room = await Room.at(this.sessions[name].identity.address, string, { page: this.page, words, former, ...options });
    this.rooms[name] = await room.enter(this.#scope);
    return room;
  }

  /** The same of the kernel in the WebSocket room. */
  async enterWs(former = undefined) {
    const url = `${this.edge.http.replace("http", "ws")}/rooms/${this.id}`;
    this.rooms.ws = await Rfc5Room.enter(this.#scope, url, this.sessions.ws.identity, former);
    return this.rooms.ws;
  }
}
