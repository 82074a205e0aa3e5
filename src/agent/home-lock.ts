import { join } from "node:path";
import { BerthError } from "../protocol/errors.ts";
import { tryLock } from "../std/file-lock.ts";
import { makeFolder } from "../std/make-folder.ts";

/** Makes sure that one process at a time works in an agent's folder: two would write the same journals. */
export function lockHome(home: string): Disposable {
  makeFolder(home);
  const lock = tryLock(join(home, "agent.lock"));
  if (lock !== null) return lock;
  throw new BerthError("conflict", `another agent works in ${home}`, {
    advice: "Stop it first, or give this one a folder of its own by BERTH_HOME.",
  });
}
