// The login on a connection: by the token of an earlier session, by a signed request, or by the edge's challenge.
import { Inbox, type Carrier } from "./carrier.js";
import { ConnectError, RESUME_REFUSED } from "./errors.js";
import { decodeServerMessage, encodeClientMessage, type Proof, type Resume, type ServerMessage, type Welcome } from "./messages.js";

/** Somebody who can log in. */
export interface Identity {
  /** Ethereum address. */
  address: string;
  /** Signs a text: answers a Decentraland auth chain that ends in it, as JSON. */
  sign: (text: string) => Promise<string>;
}

/** How to log in. */
export interface LoginPlan {
  /** The session that should go on, if there is one. */
  resume: Resume | null;
  /** What to do when there is none, or it is over: sign for the edge of this name, sign the challenge, or give up. */
  anew: { case: "signedFetch"; serverName: string } | { case: "challenge" } | { case: "never" };
}

/** A connection that is logged in. What it brought since then waits in the inbox. */
export interface Connection {
  carrier: Carrier;
  inbox: Inbox;
  welcome: Welcome;
}

/** Logs in. Throws `ConnectError`; the connection is then still to be closed. */
export async function logIn(carrier: Carrier, identity: Identity, plan: LoginPlan): Promise<Connection> {
  const inbox = new Inbox();
  carrier.start(inbox);
  const refused = carrier.closed.then((closed): never => {
    const detail = closed.reason === "" ? "" : `: ${closed.reason}`;
    throw new ConnectError("closed", `${closed.name} ${closed.code ?? ""}`.trimEnd() + detail, { closed });
  });
  const welcome = await Promise.race([converse(carrier, inbox, identity, plan), refused]);
  return { carrier, inbox, welcome };
}

async function converse(carrier: Carrier, inbox: Inbox, identity: Identity, plan: LoginPlan): Promise<Welcome> {
  const show = (proof: Proof): void => {
    void carrier.sendControl(encodeClientMessage({ case: "login", schemes: ["quic"], ...proof }));
  };
  if (plan.resume !== null) {
    show({ resume: plan.resume });
    const answer = await hear(inbox, (message) => isWelcome(message) || isResumeRefused(message));
    if (isWelcome(answer)) return answer;
  }
  const { anew } = plan;
  if (anew.case === "never") throw new ConnectError("resume_refused", "the session is over");
  if (anew.case === "signedFetch") {
    const timestamp = Date.now();
    const metadata = JSON.stringify({ server: anew.serverName });
    const text = `connect:/atoll:${timestamp}:${metadata}`.toLowerCase();
    show({ signedFetch: { authChainJson: await sign(identity, text), timestamp, metadata } });
  } else {
    void carrier.sendControl(encodeClientMessage({ case: "challengeRequest", address: identity.address }));
    const { challengeToSign } = await hear(inbox, isChallenge);
    show({ authChainJson: await sign(identity, challengeToSign) });
  }
  return hear(inbox, isWelcome);
}

async function sign(identity: Identity, text: string): Promise<string> {
  try {
    return await identity.sign(text);
  } catch (cause) {
    throw new ConnectError("sign", `the login was not signed: ${String(cause)}`, { cause });
  }
}

/** The next message of this sort; others before it are passed over, as later versions may add some. */
async function hear<Wanted extends ServerMessage>(
  inbox: Inbox,
  isWanted: ((message: ServerMessage) => message is Wanted) | ((message: ServerMessage) => boolean),
): Promise<Wanted> {
  for (;;) {
    let message: ServerMessage;
    try {
      message = decodeServerMessage(await inbox.nextControl());
    } catch {
      continue;
    }
    if (isWanted(message)) return message as Wanted;
  }
}

type Case<Name extends ServerMessage["case"]> = Extract<ServerMessage, { case: Name }>;

function isWelcome(message: ServerMessage): message is Case<"welcome"> {
  return message.case === "welcome";
}

function isChallenge(message: ServerMessage): message is Case<"challengeResponse"> {
  return message.case === "challengeResponse";
}

function isResumeRefused(message: ServerMessage): message is Case<"error"> {
  return message.case === "error" && message.code === RESUME_REFUSED;
}
