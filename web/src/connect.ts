// From an address to a logged-in client.
import { AtollClient } from "./client.js";
import { CLOSED, describeClose, MALFORMED, type Closed } from "./close.js";
import { discover, parseSha256, type Endpoint } from "./discovery.js";
import { ConnectError } from "./errors.js";
import { FrameError, MAX_MESSAGE_BYTES } from "./framing.js";
import type { Limits, ServerMessage } from "./messages.js";
import { newStats, type Stats } from "./stats.js";
import {
  closing,
  closingSoon,
  ControlStream,
  DatagramChannel,
  SUBPROTOCOL,
  type WebTransportConstructor,
} from "./transport.js";

/** How to connect. */
export interface ConnectOptions {
  /** Ethereum address of whoever logs in. */
  address: string;
  /** Signs the edge's challenge: answers a Decentraland auth chain as JSON. Called once. */
  sign: (challenge: string) => Promise<string>;
  /** Milliseconds to the welcome; 10,000 (the edge's own limit) if not given. */
  timeoutMs?: number;
  /** In place of the environment's `WebTransport`. */
  webTransport?: WebTransportConstructor;
}

const LOGIN_TIMEOUT_MS = 10_000;
const DEFAULT_LIMITS: Limits = {
  maxMessageBytes: MAX_MESSAGE_BYTES,
  maxPayloadBytes: 1_100,
  heartbeatIntervalMs: 1_000,
};

/**
 * Connects to the edge at an http(s) address, asking its `/about`, or to a WebTransport address that is known already,
 * and logs in. Listeners that are added in the same turn miss no event. Throws `ConnectError`.
 */
export async function connect(target: string | URL | Endpoint, options: ConnectOptions): Promise<AtollClient> {
  const timeoutMs = options.timeoutMs ?? LOGIN_TIMEOUT_MS;
  const endpoint = isAddress(target) ? await discover(target, timeoutMs) : target;
  const transport = open(endpoint, options.webTransport);
  const closed = closing(transport);
  const stats = newStats();
  let timer: ReturnType<typeof setTimeout> | undefined;
  const timeout = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new ConnectError("timeout", `no welcome within ${timeoutMs} ms`)), timeoutMs);
  });
  try {
    const session = await Promise.race([login(transport, options, stats), timeout]);
    return new AtollClient(session);
  } catch (error) {
    const refusal = await explain(error, closed);
    try {
      transport.close({ closeCode: refusal.closed?.code ?? CLOSED, reason: refusal.message });
    } catch {
      // It was closed already.
    }
    throw refusal;
  } finally {
    clearTimeout(timer);
  }
}

function isAddress(target: string | URL | Endpoint): target is string | URL {
  return typeof target === "string" || target instanceof URL;
}

function open(endpoint: Endpoint, given: WebTransportConstructor | undefined): WebTransport {
  const Constructor = given ?? (globalThis as { WebTransport?: WebTransportConstructor }).WebTransport;
  if (Constructor === undefined) {
    throw new ConnectError("unsupported", "no WebTransport here (browsers have it on https and loopback pages only)");
  }
  const options: WebTransportOptions = { protocols: [SUBPROTOCOL] };
  if (endpoint.certificateSha256 !== undefined) {
    const value = parseSha256(endpoint.certificateSha256);
    options.serverCertificateHashes = [{ algorithm: "sha-256", value }];
  }
  try {
    return new Constructor(endpoint.webtransport, options);
  } catch (cause) {
    throw new ConnectError("unsupported", `WebTransport refused the address: ${String(cause)}`, { cause });
  }
}

async function login(transport: WebTransport, options: ConnectOptions, stats: Stats) {
  await transport.ready;
  const datagrams = openDatagrams(transport);
  const control = new ControlStream(await transport.createBidirectionalStream(), stats);
  await control.send({ case: "challengeRequest", address: options.address });
  const { challengeToSign } = await expect(control, "challengeResponse");
  let authChainJson: string;
  try {
    authChainJson = await options.sign(challengeToSign);
  } catch (cause) {
    throw new ConnectError("sign", `the challenge was not signed: ${String(cause)}`, { cause });
  }
  await control.send({ case: "login", authChainJson, schemes: ["quic"] });
  const welcome = await expect(control, "welcome");
  return { transport, control, datagrams, address: welcome.peerId, limits: withDefaults(welcome.limits), stats };
}

function openDatagrams(transport: WebTransport): DatagramChannel {
  try {
    return new DatagramChannel(transport);
  } catch (cause) {
    throw new ConnectError("unsupported", String(cause), { cause });
  }
}

/** The next message of this case; others before it are passed over, as later versions may add some. */
async function expect<Case extends ServerMessage["case"]>(
  control: ControlStream,
  expected: Case,
): Promise<Extract<ServerMessage, { case: Case }>> {
  for (;;) {
    const { value, done } = await control.messages.next();
    if (done === true || value === undefined) throw new Error(`the control stream ended before ${expected}`);
    if (value.case === expected) return value as Extract<ServerMessage, { case: Case }>;
  }
}

function withDefaults(limits: Limits): Limits {
  return {
    maxMessageBytes: limits.maxMessageBytes || DEFAULT_LIMITS.maxMessageBytes,
    maxPayloadBytes: limits.maxPayloadBytes || DEFAULT_LIMITS.maxPayloadBytes,
    heartbeatIntervalMs: limits.heartbeatIntervalMs || DEFAULT_LIMITS.heartbeatIntervalMs,
  };
}

/** What a failed login says. A broken stream only follows from the session's end, which tells more. */
async function explain(error: unknown, closed: Promise<Closed>): Promise<ConnectError> {
  if (error instanceof ConnectError) return error;
  const reason = error instanceof Error ? error.message : String(error);
  const end =
    error instanceof FrameError ? describeClose(MALFORMED, reason) : await closingSoon(closed, reason);
  const code = end.code === null ? "" : ` ${end.code}`;
  const detail = end.reason === "" ? "" : `: ${end.reason}`;
  return new ConnectError("closed", `${end.name}${code}${detail}`, { closed: end, cause: error });
}
