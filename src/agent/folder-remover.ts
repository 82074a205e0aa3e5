import { execFile } from "node:child_process";
import { removeAttemptFolder } from "../runtime/attempt-folder.ts";

/**
 * How long folders are gathered for one removal. Nobody waits for them to be gone, and starting a program costs the
 * agent milliseconds: its memory map is copied for each.
 */
const GATHER_MS = 1_000;
/** Folders per removal: keeps the command line far below what any system allows. */
const FOLDERS_MAX = 400;

/**
 * Removes attempt folders, many in one go, by the system's own `rm` in a process of its own: unlinking waits for the
 * disk whenever somebody syncs it, and on the main thread each such wait would stop every step of the worker.
 */
export class FolderRemover {
  #gathered: { readonly folders: string[]; readonly go: () => void; readonly done: Promise<void> } | null = null;

  /** Resolves when the folder is gone. */
  remove(folder: string): Promise<void> {
    this.#gathered ??= this.#gather();
    const { folders, go, done } = this.#gathered;
    folders.push(folder);
    if (folders.length >= FOLDERS_MAX) go();
    return done;
  }

  /** Begins at once with what was gathered: somebody waits for it now. */
  flush(): void {
    this.#gathered?.go();
  }

  #gather() {
    const folders: string[] = [];
    const { promise, resolve } = Promise.withResolvers<void>();
    const timer = setTimeout(resolve, GATHER_MS);
    const done = promise.then(() => {
      clearTimeout(timer);
      this.#gathered = null;
      return removeAll(folders);
    });
    return { folders, go: resolve, done };
  }
}

async function removeAll(folders: readonly string[]): Promise<void> {
  const removed = await new Promise<boolean>((resolve) => {
    execFile("rm", ["-rf", "--", ...folders], (error) => resolve(error === null));
  });
  // Sealed folders need their mode changed first, and a system may have no `rm`.
  if (!removed) for (const folder of folders) await removeAttemptFolder(folder);
}
