import { BerthError } from "../../protocol/errors.ts";

/**
 * Null where the store knows no such upload by parts (any more): it was completed, by an earlier try whose answer was
 * lost or by another server, or it was collected. Whether the object is there tells.
 */
export async function unlessGone<T>(work: () => Promise<T>): Promise<T | null> {
  try {
    return await work();
  } catch (error) {
    if (error instanceof BerthError && error.code === "gone") return null;
    throw error;
  }
}
