// A tab on the edge's own page, on a network of its own that can be cut, and what it heard.
import { startTcpProxy, startUdpProxy } from "./udp-proxy.mjs";

const WAIT = { timeout: 40_000 };

/**
 * Opens the page in a tab whose avatar starts at (x, 0). `network`: whether its connections go through proxies, which
 * `udp` and `tcp` then are. `upgradeMs`: how often it tries WebTransport while it is on the WebSocket.
 */
export async function openTab({ chromium, edge, x, network = false, udpBlocked = false, upgradeMs = 1_000_000 }) {
  const udp = network ? await startUdpProxy(Number(new URL(edge.quic).port)) : null;
  const tcp = network ? await startTcpProxy(Number(new URL(edge.http).port)) : null;
  if (udpBlocked) udp.block();
  const prepare = async (page) => {
    if (!network) return;
    await page.route("**/about", async (route) => {
      // The page itself comes straight from the edge; only its session goes through the proxies.
      const response = await route.fetch();
      const about = await response.json();
      const atoll = about.comms.atoll;
      atoll.webtransport = withPort(atoll.webtransport, udp.port);
      atoll.websocket = withPort(atoll.websocket, tcp.port);
      await route.fulfill({ response, json: about });
    });
  };
  const page = await chromium.newTab(`${edge.http}/?x=${x}&z=0&upgrade=${upgradeMs}`, prepare);
  await page.waitForFunction(() => window.atoll.client !== null, null, WAIT);
  const address = await page.evaluate(() => {
    const heard = { ordered: [], large: [], gaps: [], events: [], left: [] };
    window.heard = heard;
    const { client, address } = window.atoll;
    const text = (payload) => new TextDecoder().decode(payload);
    client.on("ordered", ({ payload }) => heard.ordered.push(text(payload.subarray(2))));
    client.on("large", ({ payload }) => heard.large.push([payload.length, payload.at(4), payload.at(-1)]));
    client.on("gap", (gap) => heard.gaps.push(gap));
    client.on("members", ({ left }) => heard.left.push(...left.map(({ name }) => name)));
    for (const name of ["disconnected", "resumed", "restarted", "wayChanged", "island", "closed"]) {
      client.on(name, ({ way, from, to }) => heard.events.push([name, way ?? to ?? null].filter((part) => part !== null).join(" ")));
    }
    return address;
  });

  return {
    page,
    address,
    udp,
    tcp,
    /** A copy of what the page tells and of what was heard. */
    state: () =>
      page.evaluate(() => {
        const { state, islandId, tag, members, received, way, stats, lastError, client } = window.atoll;
        const { alias } = client?.island ?? {};
        return { state, islandId, tag, alias, members, received, way, stats, lastError, heard: structuredClone(window.heard) };
      }),
    until: (condition, argument = null) => page.waitForFunction(condition, argument, WAIT),
    untilMembers: (addresses) =>
      page.waitForFunction(
        (addresses) => window.atoll.members.length === addresses.length && addresses.every((one) => window.atoll.members.includes(one)),
        addresses,
        WAIT,
      ),
    /** Sends ordered messages: each a packet of an unknown sort, which the page passes over. */
    sendOrdered: (...texts) =>
      page.evaluate((texts) => {
        for (const text of texts) {
          const bytes = new TextEncoder().encode(text);
          window.atoll.client.sendOrdered(Uint8Array.of(0x1a, bytes.length, ...bytes));
        }
      }, texts),
    untilOrdered: (count) => page.waitForFunction((count) => window.heard.ordered.length >= count, count, WAIT),
    /** Sends a large message of this many bytes, all of them `fill` but for the first four, which make it a packet. */
    sendLarge: (length, fill) =>
      page.evaluate(
        ([length, fill]) => {
          const payload = new Uint8Array(length).fill(fill);
          const rest = length - 4;
          payload.set([0x22, (rest & 0x7f) | 0x80, ((rest >> 7) & 0x7f) | 0x80, rest >> 14]);
          window.atoll.client.sendLarge(payload);
        },
        [length, fill],
      ),
    untilAcknowledged: () =>
      page.waitForFunction(() => Object.values(window.atoll.client.unacknowledged).every((count) => count === 0), null, WAIT),
    /** Closes the tab, which ends its session. */
    leave: () => page.close(),
    /** Ends its network. */
    stop: async () => {
      await udp?.stop();
      await tcp?.stop();
    },
  };
}

function withPort(url, port) {
  const moved = new URL(url);
  moved.port = String(port);
  return moved.href;
}
