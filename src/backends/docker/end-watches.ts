import { type FSWatcher, watch } from "node:fs";
import { basename, join } from "node:path";
import { CTL } from "../../shim/shim.ts";

const RECORD = basename(CTL.record);

/** Watches control folders for the record: the end of an attempt is known before the engine knows of it. */
export class EndWatches implements Disposable {
  readonly #watchers = new Map<string, FSWatcher>();
  readonly #onEnd: (name: string) => void;

  constructor(onEnd: (name: string) => void) {
    this.#onEnd = onEnd;
  }

  /** A hint like any other: where watching is not possible, polling finds the end. */
  add(name: string, ctl: string): void {
    if (this.#watchers.has(name)) return;
    try {
      const watcher = watch(join(ctl, CTL.end), { persistent: false }, (_event, file) => {
        if (file === RECORD) this.#onEnd(name);
      });
      watcher.on("error", () => this.remove(name));
      this.#watchers.set(name, watcher);
    } catch {
      return;
    }
  }

  remove(name: string): void {
    this.#watchers.get(name)?.close();
    this.#watchers.delete(name);
  }

  [Symbol.dispose](): void {
    for (const name of [...this.#watchers.keys()]) this.remove(name);
  }
}
