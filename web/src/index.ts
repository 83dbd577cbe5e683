// atoll-client: a client of Atoll's native protocol, atoll/1, over WebTransport or a WebSocket.
export { AtollClient } from "./client.js";
export type { Way } from "./carrier.js";
export { describeClose } from "./close.js";
export type { Closed, Retry } from "./close.js";
export { connect } from "./connect.js";
export type { ConnectOptions } from "./connect.js";
export { Kind } from "./datagram.js";
export type { Endpoint } from "./discovery.js";
export { ConnectError, SendError } from "./errors.js";
export type { ConnectErrorKind, SendErrorKind } from "./errors.js";
export type { ClientEvents, Island, MembersChange, Message, Refusal } from "./events.js";
export type { Limits, Member, Position } from "./messages.js";
export * as rfc4 from "./rfc4.js";
export type { Packet } from "./room.js";
export type { Lane } from "./session-lanes.js";
export type { Stats } from "./stats.js";
export type { WebTransportConstructor } from "./transport.js";
export type { WebSocketConstructor } from "./websocket.js";
