// A kernel's way into a realm, on the packages that kernels shipped.
import { createRequire } from "node:module";
import { WebSocket } from "ws";

const require = createRequire(import.meta.url);
const { Authenticator } = require("@dcl/crypto");
const { createUnsafeIdentity } = require("@dcl/crypto/dist/crypto");

/** How long a test waits for what has to come. */
const PATIENCE_MS = 15_000;

function generation(rpc, protocol, subprotocol) {
  const bff = `${protocol}/out-js/decentraland/bff`;
  return {
    subprotocol,
    createRpcClient: require(rpc).createRpcClient,
    WebSocketTransport: require(`${rpc}/dist/transports/WebSocket`).WebSocketTransport,
    loadService: require(`${rpc}/dist/codegen`).loadService,
    ...require(`${bff}/authentication_service.gen.js`),
    ...require(`${bff}/comms_service.gen.js`),
    ...require(`${bff}/topics_service.gen.js`),
    ...require(`${bff}/comms_director_service.gen.js`),
    archipelago: require(`${protocol}/out-js/decentraland/kernel/comms/v3/archipelago.gen.js`),
  };
}

/** Kernels of autumn 2022: the first RPC package, island changes with double coordinates. */
export const KERNEL_2022 = generation("rpc-2022", "protocol-2022", "comms");

/** The same packages as they went on until April 2023. */
export const KERNEL_BFF_2022 = { ...KERNEL_2022, subprotocol: "bff" };

/** Kernels from April 2023. */
export const KERNEL_2023 = generation("@dcl/rpc", "@dcl/protocol", "bff");

/** A wallet, and the ephemeral key that a kernel signs with. */
export async function newIdentity() {
  const wallet = createUnsafeIdentity();
  const ephemeral = createUnsafeIdentity();
  const sign = async (text) => Authenticator.createSignature(wallet, text);
  const identity = await Authenticator.initializeAuthChain(wallet.address, ephemeral, 10, sign);
  return { address: wallet.address.toLowerCase(), sign: (text) => Authenticator.signPayload(identity, text) };
}

/** A socket with one RPC port on it, not logged in. */
export async function connect(edge, kernel, path = "/rpc") {
  const socket = new WebSocket(`${edge.http.replace("http", "ws")}${path}`, kernel.subprotocol);
  const closed = new Promise((resolve) => socket.once("close", (code, reason) => resolve({ code, reason: `${reason}` })));
  // Told by the close; without a listener the process would end.
  socket.on("error", () => {});
  const client = await within(kernel.createRpcClient(kernel.WebSocketTransport(socket)), "no RPC server");
  const port = await within(client.createPort("kernel"), "no port");
  const authentication = kernel.loadService(port, kernel.BffAuthenticationServiceDefinition);
  return { kernel, socket, closed, port, authentication };
}

/** Logs in and loads what kernels load. */
export async function logIn(edge, kernel, identity, path = undefined) {
  const connection = await connect(edge, kernel, path);
  const challenge = await connection.authentication.getChallenge({ address: identity.address });
  const authChainJson = JSON.stringify(identity.sign(challenge.challengeToSign));
  const welcome = await connection.authentication.authenticate({ authChainJson });
  const { port } = connection;
  return {
    ...connection,
    challenge,
    welcome,
    address: identity.address,
    comms: kernel.loadService(port, kernel.CommsServiceDefinition),
    topics: kernel.loadService(port, kernel.TopicsServiceDefinition),
    // Loaded when it is wanted: the original BFF has none.
    get director() {
      return kernel.loadService(port, kernel.CommsDirectorServiceDefinition);
    },
  };
}

/** Subscribes by CommsService, as kernels do, and collects what comes. */
export async function listen(peer, scope, topic) {
  const { subscriptionId } = await peer.comms[`subscribeTo${scope}Messages`]({ topic });
  const messages = [];
  let wake = () => {};
  const reading = (async () => {
    for await (const message of peer.comms[`get${scope}Messages`]({ subscriptionId })) {
      messages.push(message);
      wake();
    }
  })();
  // It ends with the socket, one way or another.
  reading.catch(() => {});
  return {
    messages,
    /** The first message that `wanted` takes; every one does when it is not given. */
    async first(wanted = () => true) {
      const search = async () => {
        for (;;) {
          const found = messages.find(wanted);
          if (found) return found;
          await new Promise((resolve) => (wake = resolve));
        }
      };
      return within(search(), `nothing came on ${topic}`);
    },
  };
}

/** Tells where the peer stands until the test ends, as kernels do. Resolves to what moves it elsewhere. */
export async function keepStanding(t, peer, x, y, z, desiredRoom = undefined) {
  const { Heartbeat } = peer.kernel;
  let payload;
  const beat = () => peer.comms.publishToTopic({ topic: "heartbeat", payload });
  const standAt = (x, y, z) => {
    payload = Heartbeat.encode({ position: { x, y, z }, desiredRoom }).finish();
    return beat();
  };
  const timer = setInterval(() => beat().catch(() => {}), 500);
  t.after(() => clearInterval(timer));
  await standAt(x, y, z);
  return standAt;
}

/** Waits until `condition` holds; `patience` is in milliseconds. */
export async function until(condition, message, patience = PATIENCE_MS) {
  let given = false;
  const poll = async () => {
    while (!given && !(await condition())) await new Promise((resolve) => setTimeout(resolve, 50));
  };
  try {
    await within(poll(), message, patience);
  } finally {
    given = true;
  }
}

/** `promise`, or an error after a while. */
export async function within(promise, message, patience = PATIENCE_MS) {
  let timer;
  const timeout = new Promise((_, reject) => {
    timer = setTimeout(() => reject(new Error(`${message} within ${patience} ms`)), patience);
  });
  try {
    return await Promise.race([promise, timeout]);
  } finally {
    clearTimeout(timer);
  }
}
