/**
 * Writes the few kinds of ASN.1 values that a certificate is made of, in DER (X.690). Node reads certificates and signs,
 * but makes none; packages that do bring twenty others along.
 */
export const DER = {
  sequence: (...parts: Uint8Array[]) => value(0x30, ...parts),
  set: (...parts: Uint8Array[]) => value(0x31, ...parts),
  /** A number that is not negative, as its bytes. */
  integer: (bytes: Uint8Array) => value(0x02, unsigned(bytes)),
  boolean: (truth: boolean) => value(0x01, Uint8Array.of(truth ? 0xff : 0x00)),
  octets: (bytes: Uint8Array) => value(0x04, bytes),
  /** @param unusedBits of the last byte */
  bits: (bytes: Uint8Array, unusedBits = 0) => value(0x03, Uint8Array.of(unusedBits), bytes),
  utf8: (text: string) => value(0x0c, Buffer.from(text, "utf8")),
  oid: (dotted: string) => value(0x06, oidBytes(dotted)),
  time: (date: Date) => time(date),
  /** `[tag]` around whole values. */
  explicit: (tag: number, ...parts: Uint8Array[]) => value(0xa0 | tag, ...parts),
  /** `[tag]` in place of the tag of a primitive value. */
  implicit: (tag: number, bytes: Uint8Array) => value(0x80 | tag, bytes),
} as const;

function value(tag: number, ...parts: Uint8Array[]): Buffer {
  const content = Buffer.concat(parts);
  return Buffer.concat([Uint8Array.of(tag), lengthBytes(content.length), content]);
}

function lengthBytes(length: number): Uint8Array {
  if (length < 0x80) return Uint8Array.of(length);
  const bytes: number[] = [];
  for (let rest = length; rest > 0; rest = Math.floor(rest / 256)) bytes.unshift(rest % 256);
  return Uint8Array.of(0x80 | bytes.length, ...bytes);
}

/** Without needless zeros in front, and with one where the first bit would make the number negative. */
function unsigned(bytes: Uint8Array): Uint8Array {
  let start = 0;
  while (start < bytes.length - 1 && bytes[start] === 0) start += 1;
  const shortest = bytes.subarray(start);
  return (shortest[0] ?? 0) >= 0x80 ? Buffer.concat([Uint8Array.of(0), shortest]) : shortest;
}

function oidBytes(dotted: string): Uint8Array {
  const [first, second, ...rest] = dotted.split(".").map(Number) as [number, number, ...number[]];
  return Uint8Array.from([first * 40 + second, ...rest].flatMap(base128));
}

function base128(arc: number): number[] {
  const bytes = [arc % 128];
  for (let rest = Math.floor(arc / 128); rest > 0; rest = Math.floor(rest / 128)) bytes.unshift(0x80 | (rest % 128));
  return bytes;
}

/** UTCTime until 2049 and GeneralizedTime after it, as RFC 5280 asks for. */
function time(date: Date): Buffer {
  const digits = `${date.toISOString().replace(/[-:T]/g, "").slice(0, 14)}Z`;
  const isUtcTime = date.getUTCFullYear() < 2050;
  return isUtcTime ? value(0x17, Buffer.from(digits.slice(2))) : value(0x18, Buffer.from(digits));
}
