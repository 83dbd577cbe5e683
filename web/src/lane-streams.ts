// The numbers that the lanes' streams and the WebSocket's channels go by.

/** First byte of the ordered stream, one for each direction of a connection. */
export const ORDERED_STREAM = 1;
/** First byte of a large stream, one for each message. */
export const LARGE_STREAM = 2;

/** Largest payload of an ordered message, in bytes. */
export const MAX_ORDERED_BYTES = 65_536;
/** Largest payload of a large message, in bytes. */
export const MAX_LARGE_BYTES = 1_048_576;

/** First byte of a WebSocket message. */
export enum Channel {
  Control = 0,
  Ordered = 1,
  Large = 2,
  Datagram = 3,
}

/** Largest WebSocket message, in bytes. */
export const MAX_WEBSOCKET_BYTES = 66_560;
/** Slices of a large message are no longer, so that the other channels pass. */
export const LARGE_SLICE_BYTES = 16_384;
