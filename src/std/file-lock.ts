import { DatabaseSync } from "node:sqlite";

const SQLITE_BUSY = 5;

/**
 * Takes an exclusive lock on a file, or returns null when another process holds it. Node has no flock; an exclusive
 * transaction of its SQLite is a kernel lock on every platform, so it ends with its process, kill -9 included: there
 * are no stale locks to recognise and no race in taking one over.
 */
export function tryLock(file: string): Disposable | null {
  const database = new DatabaseSync(file);
  try {
    database.exec("PRAGMA busy_timeout = 0");
    database.exec("BEGIN EXCLUSIVE");
  } catch (error) {
    database.close();
    if ((error as { errcode?: number }).errcode === SQLITE_BUSY) return null;
    throw new Error(`Could not lock ${file}: ${(error as Error).message}`, { cause: error });
  }
  return { [Symbol.dispose]: () => database.close() };
}
