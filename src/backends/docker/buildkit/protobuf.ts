/**
 * As much of the wire format of Protocol Buffers as a build needs: numbers, and what has a length. Written here because
 * the nine messages are a few lines each, while a library brings a compiler and its output.
 */
export class ProtobufError extends Error {
  override readonly name = "ProtobufError";
}

/** A number, or bytes: a text, or a message within this one. */
export type FieldValue = bigint | Buffer;

const VARINT = 0;
const FIXED_64 = 1;
const LENGTH = 2;
const FIXED_32 = 5;
/** Ten groups of seven bits hold 64. */
const VARINT_MAX_BYTES = 10;

/** The fields of a message in their order; a field may come several times. */
export function* fieldsOf(message: Buffer): Generator<{ readonly field: number; readonly value: FieldValue }> {
  let at = 0;
  const number = (): bigint => {
    let value = 0n;
    for (let count = 0; count < VARINT_MAX_BYTES; count++) {
      const byte = message[at++];
      if (byte === undefined) throw new ProtobufError("the message ends within a number");
      value |= BigInt(byte & 0x7f) << BigInt(7 * count);
      if (byte < 0x80) return value;
    }
    throw new ProtobufError("a number has more than 64 bits");
  };
  const take = (length: number): Buffer => {
    if (length > message.length - at) throw new ProtobufError("the message ends within a field");
    at += length;
    return message.subarray(at - length, at);
  };
  while (at < message.length) {
    const key = Number(number());
    const wire = key & 7;
    const field = Math.floor(key / 8);
    if (wire === VARINT) yield { field, value: number() };
    else if (wire === LENGTH) yield { field, value: take(Number(number())) };
    else if (wire === FIXED_64) yield { field, value: take(8) };
    else if (wire === FIXED_32) yield { field, value: take(4) };
    else throw new ProtobufError(`there is no wire type ${wire}`);
  }
}

/** A message of these fields; what is zero, empty or undefined is left out, as it is the default. */
export function messageOf(fields: Readonly<Record<number, bigint | number | string | Uint8Array | undefined>>): Buffer {
  const parts: Uint8Array[] = [];
  for (const [field, value] of Object.entries(fields)) {
    if (value === undefined) continue;
    if (typeof value === "bigint" || typeof value === "number") {
      if (BigInt(value) !== 0n) parts.push(encoded(BigInt(field) * 8n + BigInt(VARINT)), encoded(BigInt(value)));
    } else {
      const content = typeof value === "string" ? Buffer.from(value) : value;
      if (content.length > 0)
        parts.push(encoded(BigInt(field) * 8n + BigInt(LENGTH)), encoded(BigInt(content.length)), content);
    }
  }
  return Buffer.concat(parts);
}

/** Negative ones as the 64 bits of their two's complement. */
function encoded(value: bigint): Buffer {
  const bytes: number[] = [];
  let rest = BigInt.asUintN(64, value);
  while (rest > 0x7fn) {
    bytes.push(Number(rest & 0x7fn) | 0x80);
    rest >>= 7n;
  }
  bytes.push(Number(rest));
  return Buffer.from(bytes);
}
