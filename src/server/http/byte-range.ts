import { BerthError } from "../../protocol/errors.ts";

/** Both ends included, as in the header. */
export interface ByteRange {
  readonly start: number;
  readonly end: number;
}

/**
 * Reads a `Range` header (RFC 9110). Null, which means everything, when there is none, or one that may be ignored: other
 * units, several ranges. Throws `range_not_satisfiable` when it lies beyond the end.
 */
export function parseByteRange(header: string | undefined, size: number): ByteRange | null {
  const match = /^bytes=(\d{0,15})-(\d{0,15})$/.exec(header?.trim() ?? "");
  if (match === null) return null;
  const [, first, last] = match as unknown as [string, string, string];
  if (first === "" && last === "") return null;
  const start = first === "" ? Math.max(0, size - Number(last)) : Number(first);
  const end = first === "" || last === "" ? size - 1 : Math.min(Number(last), size - 1);
  if (first !== "" && last !== "" && Number(last) < Number(first)) return null;
  if (start <= end) return { start, end };
  throw new BerthError("range_not_satisfiable", `There are ${size} bytes; the range begins at ${start}.`, {
    details: { size },
  });
}
