export interface Piece {
  readonly bytes: Buffer;
  readonly last: boolean;
}

/** Cuts a stream into pieces of one size; only the last may be smaller. An empty stream has none. */
export async function* fixedPieces(
  source: AsyncIterable<Uint8Array>,
  pieceBytes: number,
): AsyncGenerator<Piece, void, undefined> {
  let chunks: Uint8Array[] = [];
  let length = 0;
  for await (const chunk of source) {
    let rest = chunk;
    // A full piece waits for one byte more, so that it is known whether it is the last.
    while (length + rest.length > pieceBytes) {
      const taken = rest.subarray(0, pieceBytes - length);
      yield { bytes: Buffer.concat([...chunks, taken]), last: false };
      rest = rest.subarray(taken.length);
      chunks = [];
      length = 0;
    }
    if (rest.length === 0) continue;
    chunks.push(rest);
    length += rest.length;
  }
  if (length > 0) yield { bytes: Buffer.concat(chunks), last: true };
}
