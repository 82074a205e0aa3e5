import { z } from "zod";
import { BerthError } from "../../protocol/errors.ts";

/** Makes a page of `limit` from rows of which one more than that was asked for. */
export function nextPage<T>(
  rows: readonly T[],
  limit: number,
  cursorOf: (last: T) => string,
): { items: T[]; next: string | null } {
  const items = rows.slice(0, limit);
  return { items, next: rows.length > limit ? cursorOf(items.at(-1)!) : null };
}

/** A cursor of several parts. What is in it is nobody's business but the server's. */
export function encodeCursor(parts: readonly (string | number)[]): string {
  return Buffer.from(JSON.stringify(parts)).toString("base64url");
}

/** The cursor of a list that is ordered by what was asked of it alone. */
export function decodeKey(cursor: string | undefined): string | null {
  return cursor === undefined ? null : decodeCursor(z.tuple([z.string()]), cursor)[0];
}

export function decodeCursor<S extends z.ZodType>(schema: S, cursor: string): z.infer<S> {
  try {
    return schema.parse(JSON.parse(Buffer.from(cursor, "base64url").toString("utf8")));
  } catch (error) {
    throw new BerthError("invalid_request", "The cursor is not one that this list gave out.", {
      cause: error,
      advice: "Start again without a cursor.",
    });
  }
}
