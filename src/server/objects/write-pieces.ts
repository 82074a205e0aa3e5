import type { FileHandle } from "node:fs/promises";

/**
 * Writes pieces one after the other from `position` on, in as few calls as the system takes, and without copying them
 * together; yields what was written as it was. A disk that is nearly full may take only a part, and says so only at the
 * next write.
 */
export async function* writePieces(
  file: FileHandle,
  pieces: readonly Uint8Array[],
  position: number,
): AsyncGenerator<Uint8Array, void, undefined> {
  let rest = pieces.filter((piece) => piece.length > 0);
  let end = position;
  while (rest.length > 0) {
    const { bytesWritten } = await file.writev(rest, end);
    end += bytesWritten;
    let left = bytesWritten;
    const after: Uint8Array[] = [];
    for (const piece of rest) {
      const taken = Math.min(left, piece.length);
      left -= taken;
      if (taken > 0) yield piece.subarray(0, taken);
      if (taken < piece.length) after.push(piece.subarray(taken));
    }
    rest = after;
  }
}
