// The wire format of Protocol Buffers, as much of it as Atoll's messages need. Bytes in, fields out.

/** Bytes that are not a message: truncated, an unknown wire type, a bad varint, text that is not UTF-8. */
export class DecodeError extends Error {
  override readonly name = "DecodeError";
}

/** Wire types this codec knows; groups (3 and 4) are refused. */
export enum WireType {
  Varint = 0,
  Fixed64 = 1,
  Bytes = 2,
  Fixed32 = 5,
}

// `ignoreBOM`: a byte order mark is part of the text, as every protobuf implementation has it.
const utf8 = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });
const encoder = new TextEncoder();

/** Reads the fields of one message, in order. Every method throws `DecodeError` and nothing else. */
export class Reader {
  readonly #bytes: Uint8Array;
  readonly #view: DataView;
  #at = 0;
  #wireType: number = WireType.Varint;

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes;
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  }

  /** The number of the next field, or 0 at the end. Then read its value with one of the methods below, or `skip` it. */
  next(): number {
    if (this.#at === this.#bytes.length) return 0;
    const key = this.#varint();
    const field = key >>> 3;
    if (field === 0) throw new DecodeError("field number 0");
    this.#wireType = key & 7;
    return field;
  }

  /** Wire type of the field that `next` announced. */
  get wireType(): number {
    return this.#wireType;
  }

  /** An unsigned 32-bit integer; the upper half of longer ones is cut off. */
  uint32(): number {
    this.#expect(WireType.Varint);
    return this.#varint();
  }

  /** An unsigned 64-bit integer up to 2^53 - 1; no number in these messages is larger. */
  uint64(): number {
    this.#expect(WireType.Varint);
    return this.#varint64();
  }

  /** A 32-bit integer of fixed size. */
  fixed32(): number {
    this.#expect(WireType.Fixed32);
    return this.#view.getUint32(this.#take(4), true);
  }

  /** A `float`. */
  float(): number {
    this.#expect(WireType.Fixed32);
    return this.#view.getFloat32(this.#take(4), true);
  }

  /** A `double`. */
  double(): number {
    this.#expect(WireType.Fixed64);
    return this.#view.getFloat64(this.#take(8), true);
  }

  /** A coordinate: a `float`, or the `double` that older Comms V3 messages have in its place. */
  coordinate(): number {
    return this.#wireType === WireType.Fixed64 ? this.double() : this.float();
  }

  /** Bytes or an embedded message: a view into the input, not a copy. */
  bytes(): Uint8Array {
    this.#expect(WireType.Bytes);
    const length = this.#varint();
    const start = this.#take(length);
    return this.#bytes.subarray(start, start + length);
  }

  /** A text. */
  text(): string {
    const bytes = this.bytes();
    try {
      return utf8.decode(bytes);
    } catch {
      throw new DecodeError("a text that is not UTF-8");
    }
  }

  /** A repeated `uint32`, packed or not: the values of this one field. */
  packedUint32(): number[] {
    if (this.#wireType === WireType.Varint) return [this.#varint()];
    const packed = new Reader(this.bytes());
    const values: number[] = [];
    while (packed.#at < packed.#bytes.length) values.push(packed.#varint());
    return values;
  }

  /** A repeated `uint64`, packed or not: the values of this one field. */
  packedUint64(): number[] {
    if (this.#wireType === WireType.Varint) return [this.#varint64()];
    const packed = new Reader(this.bytes());
    const values: number[] = [];
    while (packed.#at < packed.#bytes.length) values.push(packed.#varint64());
    return values;
  }

  /** Passes over the value of a field that the caller does not know. */
  skip(): void {
    switch (this.#wireType) {
      case WireType.Varint:
        this.#varint();
        return;
      case WireType.Fixed64:
        this.#take(8);
        return;
      case WireType.Bytes:
        this.bytes();
        return;
      case WireType.Fixed32:
        this.#take(4);
        return;
      default:
        throw new DecodeError(`wire type ${this.#wireType}`);
    }
  }

  #expect(wireType: WireType): void {
    if (this.#wireType !== wireType) throw new DecodeError(`wire type ${this.#wireType} in place of ${wireType}`);
  }

  #take(length: number): number {
    const start = this.#at;
    if (length > this.#bytes.length - start) throw new DecodeError("truncated");
    this.#at = start + length;
    return start;
  }

  #varint(): number {
    let value = 0;
    for (let index = 0; index < 10; index++) {
      const byte = this.#bytes[this.#at];
      if (byte === undefined) throw new DecodeError("truncated");
      this.#at++;
      // Bits above 32 are read and dropped: no field of these messages has them.
      if (index < 5) value |= (byte & 0x7f) << (index * 7);
      if (byte < 0x80) return value >>> 0;
    }
    throw new DecodeError("a varint of more than 10 bytes");
  }

  #varint64(): number {
    let value = 0;
    let factor = 1;
    for (let index = 0; index < 10; index++) {
      const byte = this.#bytes[this.#at];
      if (byte === undefined) throw new DecodeError("truncated");
      this.#at++;
      value += (byte & 0x7f) * factor;
      factor *= 128;
      if (byte >= 0x80) continue;
      if (!Number.isSafeInteger(value)) throw new DecodeError("an integer above 2^53 - 1");
      return value;
    }
    throw new DecodeError("a varint of more than 10 bytes");
  }
}

/** Writes the fields of one message. Fields with their default value are left out, as proto3 has it. */
export class Writer {
  #out = new Uint8Array(64);
  #length = 0;

  /** What was written. */
  finish(): Uint8Array<ArrayBuffer> {
    return this.#out.slice(0, this.#length);
  }

  uint32(field: number, value: number): this {
    return this.uint64(field, value >>> 0);
  }

  /** An unsigned integer up to 2^53 - 1. */
  uint64(field: number, value: number): this {
    if (value === 0) return this;
    this.#key(field, WireType.Varint);
    return this.#varint(value);
  }

  /** A repeated `uint64`, packed. */
  packedUint64(field: number, values: readonly number[]): this {
    if (values.length === 0) return this;
    const packed = new Writer();
    for (const value of values) packed.#varint(value);
    return this.message(field, packed.finish());
  }

  fixed32(field: number, value: number): this {
    if (value >>> 0 === 0) return this;
    const bytes = new Uint8Array(4);
    new DataView(bytes.buffer).setUint32(0, value, true);
    return this.#fixed(field, WireType.Fixed32, bytes);
  }

  float(field: number, value: number): this {
    // Minus zero is not the default value.
    if (Object.is(value, 0)) return this;
    const bytes = new Uint8Array(4);
    new DataView(bytes.buffer).setFloat32(0, value, true);
    return this.#fixed(field, WireType.Fixed32, bytes);
  }

  double(field: number, value: number): this {
    if (Object.is(value, 0)) return this;
    const bytes = new Uint8Array(8);
    new DataView(bytes.buffer).setFloat64(0, value, true);
    return this.#fixed(field, WireType.Fixed64, bytes);
  }

  text(field: number, value: string): this {
    return value === "" ? this : this.message(field, encoder.encode(value));
  }

  /** Bytes, left out when there are none. */
  bytes(field: number, value: Uint8Array): this {
    return value.length === 0 ? this : this.message(field, value);
  }

  /** An embedded message, written also when it is empty: its presence says something. */
  message(field: number, value: Uint8Array): this {
    this.#key(field, WireType.Bytes);
    this.#varint(value.length);
    return this.#append(value);
  }

  #fixed(field: number, wireType: WireType, bytes: Uint8Array): this {
    this.#key(field, wireType);
    return this.#append(bytes);
  }

  #key(field: number, wireType: WireType): void {
    this.#varint((field << 3) | wireType);
  }

  #varint(value: number): this {
    const bytes: number[] = [];
    let rest = value;
    while (rest >= 0x80) {
      bytes.push((rest % 128) | 0x80);
      rest = Math.floor(rest / 128);
    }
    bytes.push(rest);
    return this.#append(bytes);
  }

  #append(bytes: ArrayLike<number>): this {
    const end = this.#length + bytes.length;
    if (end > this.#out.length) {
      const grown = new Uint8Array(Math.max(end, this.#out.length * 2));
      grown.set(this.#out.subarray(0, this.#length));
      this.#out = grown;
    }
    this.#out.set(bytes, this.#length);
    this.#length = end;
    return this;
  }
}
