// The network between a browser and an edge, to be cut and moved: proxies for UDP and for TCP on loopback.
import { createSocket } from "node:dgram";
import { once } from "node:events";
import { connect, createServer } from "node:net";

const HOST = "127.0.0.1";

/**
 * Forwards UDP to a port of this machine. Each client has a socket of its own towards it, as behind a NAT.
 * `rebind()`: from now on packets come from other source ports. `block()` drops everything until `unblock()`.
 */
export async function startUdpProxy(targetPort) {
  const front = createSocket("udp4");
  const clients = new Map();
  let blocked = false;
  const counts = { up: 0, down: 0, dropped: 0 };
  const pass = (direction, send) => {
    if (blocked) return void counts.dropped++;
    counts[direction]++;
    send();
  };

  const openBack = async (client) => {
    const back = createSocket("udp4");
    back.on("error", () => undefined);
    back.bind(0, HOST);
    await once(back, "listening");
    back.on("message", (packet) => pass("down", () => front.send(packet, client.port, client.address)));
    return back;
  };
  front.on("error", () => undefined);
  front.on("message", (packet, client) => {
    const key = `${client.address}:${client.port}`;
    if (!clients.has(key)) clients.set(key, { client, back: openBack(client) });
    void clients.get(key).back.then((back) => pass("up", () => back.send(packet, targetPort, HOST)));
  });
  front.bind(0, HOST);
  await once(front, "listening");

  return {
    port: front.address().port,
    counts,
    block: () => void (blocked = true),
    unblock: () => void (blocked = false),
    /** Resolves to the source ports before and after. */
    rebind: async () => {
      const moves = [];
      for (const entry of clients.values()) {
        const before = await entry.back;
        entry.back = openBack(entry.client);
        const after = await entry.back;
        moves.push({ before: before.address().port, after: after.address().port });
        before.close();
      }
      return moves;
    },
    stop: async () => {
      front.close();
      for (const { back } of clients.values()) (await back).close();
    },
  };
}

/**
 * Forwards TCP to a port of this machine. `block()`: nothing passes and nothing is told until `unblock()`. `cut()` ends all that is
 * open; what comes afterwards passes. `counts.opened`: connections so far.
 */
export async function startTcpProxy(targetPort) {
  let blocked = false;
  const sockets = new Set();
  const counts = { opened: 0 };
  const cut = () => {
    for (const socket of sockets) socket.destroy();
  };
  const server = createServer({ pauseOnConnect: true }, (near) => {
    counts.opened++;
    const far = connect(targetPort, HOST);
    for (const [from, to] of [[near, far], [far, near]]) {
      sockets.add(from);
      from.on("data", (bytes) => to.write(bytes));
      from.on("end", () => to.end());
      from.on("error", () => to.destroy());
      from.on("close", () => void sockets.delete(from));
      if (blocked) from.pause();
      else from.resume();
    }
  });
  server.listen(0, HOST);
  await once(server, "listening");

  return {
    port: server.address().port,
    counts,
    cut,
    block: () => {
      blocked = true;
      for (const socket of sockets) socket.pause();
    },
    unblock: () => {
      blocked = false;
      for (const socket of sockets) socket.resume();
    },
    stop: async () => {
      server.close();
      cut();
    },
  };
}
