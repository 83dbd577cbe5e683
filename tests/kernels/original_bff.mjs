// What explorer-bff did in the winter of 2022: kernels log in over RPC, and what they say and want to hear goes over NATS as it
// is. Its limits (51 buffered messages of a subscription, pings) and the health of other services are left out.
import { randomBytes } from "node:crypto";
import { once } from "node:events";
import { createServer } from "node:http";
import { createRequire } from "node:module";
import { WebSocketServer } from "ws";
import { join } from "./nats_server.mjs";

const require = createRequire(import.meta.url);
const { Authenticator } = require("@dcl/crypto");
const { createRpcServer } = require("rpc-2022");
const { registerService } = require("rpc-2022/dist/codegen");
const { WebSocketTransport } = require("rpc-2022/dist/transports/WebSocket");
const { BffAuthenticationServiceDefinition } = require("protocol-2022/out-js/decentraland/bff/authentication_service.gen.js");
const { CommsServiceDefinition } = require("protocol-2022/out-js/decentraland/bff/comms_service.gen.js");
const { TopicsServiceDefinition } = require("protocol-2022/out-js/decentraland/bff/topics_service.gen.js");

const PATHS = ["/rpc", "/bff/rpc"];
const ADDRESS = /^0x[0-9a-f]{40}$/i;
const TOPIC = /^[^.]+(\.[^.]+)*$/;

/** Starts one on a loopback port: `{ http, stop }`. */
export async function startOriginalBff(nats) {
  const bus = await join(nats, "original BFF");
  const sessions = new Map();
  const services = discover(bus);
  const rpc = createRpcServer({});
  rpc.setHandler(async (port) => registerAuthentication(port, bus, sessions));

  const server = createServer((request, response) => answer(request, response, { services, sessions }));
  const sockets = new WebSocketServer({ noServer: true });
  server.on("upgrade", (request, socket, head) => {
    if (!PATHS.includes(request.url)) return socket.destroy();
    sockets.handleUpgrade(request, socket, head, (opened) => rpc.attachTransport(WebSocketTransport(opened), {}));
  });
  await once(server.listen(0, "127.0.0.1"), "listening");
  return {
    http: `http://127.0.0.1:${server.address().port}`,
    async stop() {
      const ends = [...sockets.clients].map((socket) => once(socket, "close"));
      sockets.clients.forEach((socket) => socket.terminate());
      server.close();
      server.closeAllConnections();
      // Whose ends are told.
      await Promise.all(ends);
      await bus.close();
    },
  };
}

/** All a port has before its login. */
function registerAuthentication(port, bus, sessions) {
  const challengeToSign = `dcl-0.${randomBytes(6).readUIntBE(0, 6).toString(36)}`;
  const refuse = () => {
    setImmediate(() => port.close());
    throw new Error("Authentication failed");
  };
  registerService(port, BffAuthenticationServiceDefinition, async () => ({
    async getChallenge({ address }) {
      if (!ADDRESS.test(address)) refuse();
      return { challengeToSign, alreadyConnected: sessions.has(address.toLowerCase()) };
    },
    async authenticate({ authChainJson }) {
      const chain = JSON.parse(authChainJson);
      const { ok } = await Authenticator.validateSignature(challengeToSign, chain, null);
      if (!ok) refuse();
      const peerId = chain[0].payload.toLowerCase();
      const earlier = sessions.get(peerId);
      sessions.set(peerId, port);
      // Whose end is told before the login is, so that the login is the last that is heard of the peer.
      await earlier?.close();
      serve(port, bus, sessions, peerId);
      return { peerId, availableModules: ["CommsService", "TopicsService"] };
    },
  }));
}

/** The services of a session, from its login to its port's end. */
function serve(port, bus, sessions, peerId) {
  const subscriptions = new Map();
  let isOpen = true;
  bus.publish(`peer.${peerId}.connect`);
  port.on("close", () => {
    if (!isOpen) return;
    isOpen = false;
    subscriptions.forEach((subscription) => subscription.unsubscribe());
    if (sessions.get(peerId) === port) sessions.delete(peerId);
    bus.publish(`peer.${peerId}.disconnect`);
  });

  let subscribed = 0;
  const subscribe = (prefix, topic) => {
    if (!TOPIC.test(topic)) throw new Error(`Invalid topic ${topic}`);
    const subscriptionId = subscribed++;
    subscriptions.set(subscriptionId, bus.subscribe(`${prefix}${topic}`));
    return { subscriptionId };
  };
  const unsubscribe = async ({ subscriptionId }) => {
    subscriptions.get(subscriptionId)?.unsubscribe();
    subscriptions.delete(subscriptionId);
    return { ok: true };
  };
  async function* messages({ subscriptionId }, read) {
    for await (const { subject, data } of subscriptions.get(subscriptionId) ?? []) {
      yield { payload: data, ...read(subject) };
    }
  }
  const ofPeer = (subject) => {
    const [, , sender, ...topic] = subject.split(".");
    return { sender, topic: topic.join(".") };
  };
  const ofSystem = (subject) => ({ topic: subject.slice("client-proto.".length) });
  const publishToTopic = async ({ topic, payload }) => {
    if (!TOPIC.test(topic)) throw new Error(`Invalid topic ${topic}`);
    bus.publish(`client-proto.peer.${peerId}.${topic}`, payload);
    return { ok: true };
  };

  registerService(port, CommsServiceDefinition, async () => ({
    subscribeToPeerMessages: async ({ topic }) => subscribe("client-proto.peer.*.", topic),
    getPeerMessages: (subscription) => messages(subscription, ofPeer),
    unsubscribeToPeerMessages: unsubscribe,
    subscribeToSystemMessages: async ({ topic }) => subscribe("client-proto.", topic),
    getSystemMessages: (subscription) => messages(subscription, ofSystem),
    unsubscribeToSystemMessages: unsubscribe,
    publishToTopic,
  }));
  registerService(port, TopicsServiceDefinition, async () => ({
    peerSubscription: ({ topic }) => messages(subscribe("client-proto.peer.*.", topic), ofPeer),
    systemSubscription: ({ topic }) => messages(subscribe("client-proto.", topic), ofSystem),
    publishToTopic,
  }));
}

/** What services told of themselves in the last minute, by name. */
function discover(bus) {
  const services = new Map();
  const callback = (error, message) => {
    if (error) return;
    const { serverName, status } = message.json();
    services.set(serverName, { status, heard: Date.now() });
  };
  bus.subscribe("service.discovery", { callback });
  return (name) => {
    const service = services.get(name);
    return service && Date.now() - service.heard < 60_000 ? service.status : undefined;
  };
}

function answer(request, response, { services, sessions }) {
  if (request.url !== "/about") return response.writeHead(404).end();
  const archipelago = services("archipelago");
  const { commitHash, userCount: usersCount } = archipelago ?? {};
  const about = {
    healthy: Boolean(archipelago),
    comms: { healthy: Boolean(archipelago), protocol: "v3", commitHash, usersCount },
    bff: { healthy: true, userCount: sessions.size + (usersCount ?? 0), protocolVersion: "1.0", publicUrl: "/" },
  };
  const body = JSON.stringify(about);
  response.writeHead(about.healthy ? 200 : 503, { "content-type": "application/json" }).end(body);
}
