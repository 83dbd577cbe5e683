// A tab on the edge's page as a member of a room.
import { openTab } from "../browser/tab.mjs";
import { Member } from "./room_member.mjs";
import { RFC4_WORDS } from "./room_words.mjs";

/** The page's session, in whichever room it sits. */
export class TabRoom extends Member {
  static async open(chromium, edge, x) {
    const tab = await openTab({ chromium, edge, x });
    await tab.page.evaluate(() => {
      const { client } = window.atoll;
      const room = { heard: [], gaps: 0, refusals: [], sendUpdate: client.sendUpdate.bind(client) };
      // The page tells where it stands by itself; here only what a test says is said.
      client.sendUpdate = () => {};
      const hear = ({ address, payload }) => room.heard.push([address, Array.from(payload)]);
      for (const event of ["packet", "voice", "ordered", "large"]) client.on(event, hear);
      client.on("gap", () => room.gaps++);
      client.on("error", ({ name }) => room.refusals.push(name));
      window.room = room;
    });
    return new TabRoom(tab);
  }

  constructor(tab) {
    super(tab.address, RFC4_WORDS);
    this.tab = tab;
    this.hasDatagrams = true;
  }

  /** Its seat: `{ name, alias, members }`, of an island or of a room that it joined. */
  seat() {
    return this.tab.page.evaluate(() => {
      const { island, joinedRoom } = window.atoll.client;
      const seat = joinedRoom ?? island;
      return seat && { name: joinedRoom?.name ?? island.id, alias: seat.alias, members: seat.members };
    });
  }

  async others() {
    const { members } = await this.seat();
    const others = members.filter(({ name }) => name !== this.address);
    return Object.fromEntries(others.map(({ alias, name }) => [alias, name]));
  }

  async send(packets) {
    await this.tab.page.evaluate(
      (packets) => {
        const { client } = window.atoll;
        for (const { sort, bytes } of packets) {
          const payload = Uint8Array.from(bytes);
          if (sort === "update") window.room.sendUpdate(payload);
          else if (sort === "event") client.sendEvent(payload);
          else if (sort === "voice") client.sendVoice(payload);
          else client.sendOrdered(payload);
        }
      },
      packets.map(({ sort, body }) => ({ sort, bytes: Array.from(body) })),
    );
  }

  async refresh() {
    const heard = await this.tab.page.evaluate(() => window.room.heard.splice(0));
    for (const [address, bytes] of heard) this.hear(address, Uint8Array.from(bytes));
  }

  /** Stands elsewhere at once. */
  move(x, z) {
    return this.tab.page.evaluate(([x, z]) => window.atoll.walkTo(x, z, 100_000), [x, z]);
  }

  joinRoom(connectionString) {
    return this.tab.page.evaluate((string) => window.atoll.client.joinRoom(string), connectionString);
  }

  leaveRoom() {
    return this.tab.page.evaluate(() => window.atoll.client.leaveRoom());
  }

  /** What went wrong. */
  async trouble() {
    const { lastError, stats } = await this.tab.state();
    const { gaps, refusals } = await this.tab.page.evaluate(() => ({ gaps: window.room.gaps, refusals: window.room.refusals }));
    const { droppedMalformed, droppedMessages } = stats;
    return { lastError, gaps, refusals, droppedMalformed, droppedMessages };
  }
}
