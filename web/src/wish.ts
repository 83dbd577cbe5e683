// The room that a program asked for, over losses of the connection.
import type { Carrier } from "./carrier.js";
import { encodeClientMessage } from "./messages.js";

/** Answers to a wish that are refusals of it, and those that may be about something else. */
const REFUSED = new Set(["INVALID_CONNECTION_STRING", "ROOM_REFUSED"]);
const PERHAPS_REFUSED = new Set(["ROOM_FULL", "TOO_FAST"]);

/** Where a client wants to sit: in the room of a connection string, or by its island for an empty one. */
export class Wish {
  #connectionString = "";
  /** The edge has not answered. */
  #isOpen = false;
  #carrier: Carrier | null = null;

  /** Asks for a room, or to go back to the island. */
  ask(connectionString: string): void {
    this.#connectionString = connectionString;
    this.#tell();
  }

  /** Goes on over this connection. A session that goes on sits where it sat; a new one sits nowhere. */
  attach(carrier: Carrier, isNew: boolean): void {
    this.#carrier = carrier;
    if (isNew ? this.#connectionString !== "" : this.#isOpen) this.#tell();
    else if (isNew) this.#isOpen = false;
  }

  /** The connection is lost. */
  detach(): void {
    this.#carrier = null;
  }

  /** The client sits in a room that it asked for, or in that of its island, which may have been on its way before the answer. */
  seated(isAskedFor: boolean): void {
    if (isAskedFor !== (this.#connectionString === "")) this.#isOpen = false;
  }

  /** The edge refused something. */
  refused(code: string): void {
    const isAnswer =
      REFUSED.has(code) || (this.#isOpen ? PERHAPS_REFUSED.has(code) : code === "ROOM_LOST");
    if (!isAnswer) return;
    this.#connectionString = "";
    this.#isOpen = false;
  }

  #tell(): void {
    this.#isOpen = true;
    const connectionString = this.#connectionString;
    void this.#carrier?.sendControl(encodeClientMessage({ case: "joinRoom", connectionString }));
  }
}
