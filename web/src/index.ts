// atoll-client: a client of Atoll's native protocol, atoll/1, over WebTransport.
export { AtollClient } from "./client.js";
export type { ClientEvents, Island, MembersChange, Refusal } from "./client.js";
export { describeClose } from "./close.js";
export type { Closed, Retry } from "./close.js";
export { connect } from "./connect.js";
export type { ConnectOptions } from "./connect.js";
export { Kind } from "./datagram.js";
export type { Endpoint } from "./discovery.js";
export { ConnectError, SendError } from "./errors.js";
export type { ConnectErrorKind, SendErrorKind } from "./errors.js";
export type { Limits, Member, Position } from "./messages.js";
export * as rfc4 from "./rfc4.js";
export type { Packet } from "./room.js";
export type { Stats } from "./stats.js";
export type { WebTransportConstructor } from "./transport.js";
