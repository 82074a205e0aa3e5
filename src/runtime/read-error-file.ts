import { closeSync, constants, fstatSync, lstatSync, openSync, readSync } from "node:fs";
import { join } from "node:path";
import { z } from "zod";

/** A step's own words about why it failed fit in this; more is somebody's attempt to fill the agent's memory. */
const ERROR_FILE_MAX_BYTES = 64 * 1024;

/** `error.json`: `business` says that the step did what it should and the data or a rule is wrong. */
const ErrorFile = z.object({
  type: z.enum(["business", "application"]),
  message: z.string().min(1),
});
export type ErrorFile = z.infer<typeof ErrorFile>;

/** What a step said about its failure; null when it said nothing. A file that cannot be used becomes a warning. */
export function readErrorFile(folder: string): { readonly error: ErrorFile } | { readonly warning: string } | null {
  const path = join(folder, "error.json");
  // Most steps say nothing, and to look is cheaper than to fail.
  if (lstatSync(path, { throwIfNoEntry: false }) === undefined) return null;
  let fd: number;
  try {
    // Written by untrusted code: a link is not followed, and a FIFO does not hold up the agent.
    fd = openSync(path, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK);
  } catch {
    return { warning: ignored("it cannot be opened") };
  }
  try {
    return parse(fd);
  } finally {
    closeSync(fd);
  }
}

function parse(fd: number) {
  if (!fstatSync(fd).isFile()) return { warning: ignored("it is no file") };
  const bytes = Buffer.alloc(ERROR_FILE_MAX_BYTES + 1);
  const read = readSync(fd, bytes, 0, bytes.length, 0);
  if (read > ERROR_FILE_MAX_BYTES) return { warning: ignored(`it is larger than ${ERROR_FILE_MAX_BYTES} bytes`) };
  try {
    const parsed = ErrorFile.safeParse(JSON.parse(bytes.toString("utf8", 0, read)));
    return parsed.success ? { error: parsed.data } : { warning: ignored(z.prettifyError(parsed.error)) };
  } catch {
    return { warning: ignored("it is not JSON") };
  }
}

function ignored(why: string): string {
  return `The step's error.json was ignored: ${why}. It has to be {"type": "business", "message": "…"}.`;
}
