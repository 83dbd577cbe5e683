// Where a client sits: in the room of its island, or in one that it joined. One seat at a time.
import type { Emitter } from "./emitter.js";
import type { ClientEvents, Island, JoinedRoom } from "./events.js";
import type { ServerMessage } from "./messages.js";
import { Room } from "./room.js";
import type { Stats } from "./stats.js";

type IslandChanged = Extract<ServerMessage, { case: "islandChanged" }>;

export class Seat {
  readonly #emitter: Emitter<ClientEvents>;
  readonly #stats: Stats;
  #island: Omit<Island, "members"> | null = null;
  #joined: Omit<JoinedRoom, "members"> | null = null;
  #room: Room | null = null;

  constructor(emitter: Emitter<ClientEvents>, stats: Stats) {
    this.#emitter = emitter;
    this.#stats = stats;
  }

  get room(): Room | null {
    return this.#room;
  }

  get island(): Island | null {
    if (this.#island === null || this.#room === null) return null;
    return { ...this.#island, members: this.#room.members };
  }

  get joined(): JoinedRoom | null {
    if (this.#joined === null || this.#room === null) return null;
    return { ...this.#joined, members: this.#room.members };
  }

  /** Takes a seat, or hears more of the one that is taken. */
  take(message: IslandChanged): void {
    const { tag, alias, room } = message;
    const before = this.#room?.tag === tag && this.#room.alias === alias ? this.#room : null;
    // What says neither an island nor a room is about the same place as before.
    if (room !== null) this.#sitIn({ name: room, tag, alias });
    else if (before === null || this.#joined === null) this.#sitInIsland(message, before);
    if (before === null) {
      this.#room = new Room(tag, alias, message.members);
      if (this.joined !== null) this.#emitter.emit("room", this.joined);
      else if (this.island !== null) this.#emitter.emit("island", this.island);
      return;
    }
    // The same seat after a resume: only who came and went meanwhile is news.
    const change = before.replace(message.members);
    if (change.joined.length + change.left.length > 0) {
      this.#emitter.emit("members", { ...change, members: before.members });
    }
  }

  /** Hears of others who took or left seats. */
  change({ tag, joined, left: aliases }: Extract<ServerMessage, { case: "membersChanged" }>): void {
    if (this.#room === null || this.#room.tag !== tag) {
      this.#stats.droppedMessages++;
      return;
    }
    const left = this.#room.change(joined, aliases);
    this.#emitter.emit("members", { joined, left, members: this.#room.members });
  }

  /** Sits nowhere any more. */
  leave(): void {
    this.#room = null;
    this.#island = null;
    this.#joined = null;
  }

  #sitIn(joined: Omit<JoinedRoom, "members">): void {
    this.#joined = joined;
    this.#island = null;
  }

  #sitInIsland({ island, tag, alias, foreignTransport }: IslandChanged, before: Room | null): void {
    // What a resume announces again tells neither where everybody stood nor where the client came from: that is known.
    const known = before === null ? null : this.#island;
    const fromId = island.fromIslandId ?? known?.fromId ?? null;
    const positions = island.peers.size === 0 && known !== null ? known.positions : island.peers;
    this.#island = { id: island.islandId, fromId, tag, alias, positions, foreignTransport };
    this.#joined = null;
  }
}
