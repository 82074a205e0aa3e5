/**
 * Many byte strings as one parameter of a statement, cut apart there by `substring(bytes FROM start FOR length)`. A
 * single one travels as it is; in an array each would be written as hexadecimal text, twice as long and parsed again.
 */
export interface BytesParameter {
  readonly bytes: Buffer;
  /** Counted from 1, as SQL does. */
  readonly starts: readonly number[];
  readonly lengths: readonly number[];
}

export function bytesParameter(parts: readonly Uint8Array[]): BytesParameter {
  const lengths = parts.map((part) => part.length);
  let next = 1;
  const starts = lengths.map((length) => {
    next += length;
    return next - length;
  });
  return { bytes: Buffer.concat(parts), starts, lengths };
}
