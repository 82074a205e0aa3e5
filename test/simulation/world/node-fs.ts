import fs from "node:fs";
import { Readable, Writable } from "node:stream";
import { currentProcess, later } from "./virtual-time.ts";

/** Stands for the module, but for what waits or differs from run to run. */
export * from "node:fs";

/** Files are real, in memory; what is kept of each is how much of it would survive a power cut. */
const paths = new Map<number, string>();
const synced = new Map<string, number>();

export function openSync(path: fs.PathLike, flags: fs.OpenMode, mode?: fs.Mode): number {
  const descriptor = fs.openSync(path, flags, mode);
  paths.set(descriptor, String(path));
  currentProcess()?.descriptors.add(descriptor);
  return descriptor;
}

export function closeSync(descriptor: number): void {
  currentProcess()?.descriptors.delete(descriptor);
  fs.closeSync(descriptor);
}

/** Nothing here lasts, so nothing is really synced. */
export function fsyncSync(_descriptor: number): void {}

export function fdatasync(descriptor: number, done: (error: Error | null) => void): void {
  const path = paths.get(descriptor)!;
  const { size } = fs.fstatSync(descriptor);
  later(() => {
    synced.set(path, size);
    done(null);
  });
}

/** What a power cut leaves of a file: what was synced of it. */
export function loseUnsynced(path: string): void {
  fs.truncateSync(path, Math.min(synced.get(path) ?? 0, fs.statSync(path).size));
}

export function forgetFiles(): void {
  paths.clear();
  synced.clear();
}

interface ReadOptions {
  readonly start?: number;
  /** The last byte, as in Node. */
  readonly end?: number;
  readonly signal?: AbortSignal;
}

export function createReadStream(path: string, { start = 0, end, signal }: ReadOptions = {}): Readable {
  return Readable.from(
    (async function* () {
      signal?.throwIfAborted();
      const bytes = fs.readFileSync(path).subarray(start, end === undefined ? undefined : end + 1);
      if (bytes.length > 0) yield bytes;
    })(),
  );
}

export function createWriteStream(path: string, options: { readonly flags?: string; readonly mode?: number } = {}) {
  let descriptor = -1;
  return new Writable({
    construct(done) {
      attempt(done, () => {
        descriptor = openSync(path, options.flags ?? "w", options.mode);
      });
    },
    write(chunk: Buffer, _encoding, done) {
      attempt(done, () => fs.writeSync(descriptor, chunk));
    },
    destroy(error, done) {
      if (descriptor >= 0) closeSync(descriptor);
      done(error);
    },
  });
}

function attempt(done: (error?: Error | null) => void, act: () => void): void {
  try {
    act();
  } catch (error) {
    done(error as Error);
    return;
  }
  done();
}
