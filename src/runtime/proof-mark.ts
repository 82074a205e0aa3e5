/**
 * The mark of a file whose bytes were seen to be those of its digest: a modification time of a whole second. Whoever
 * writes to the file later, through a descriptor that was left open, gives it the time of the clock, which has a fraction
 * of a second but for one time in millions: then the bytes are hashed again before anybody relies on them.
 */
export function proofMark(nowMs = Date.now()): Date {
  return new Date(Math.floor(nowMs / 1000) * 1000);
}

export function hasProofMark({ mtimeMs }: { readonly mtimeMs: number }): boolean {
  return mtimeMs % 1000 === 0;
}
