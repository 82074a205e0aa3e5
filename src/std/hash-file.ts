import { hash } from "node:crypto";
import { closeSync, constants, openSync, readSync } from "node:fs";
import { availableParallelism } from "node:os";
import { Worker } from "node:worker_threads";

export interface HashedBytes {
  /** SHA-256, lower-case hexadecimal. */
  readonly digest: string;
  readonly size: number;
}

/** Up to here a file is hashed at once, in about a millisecond; above, a thread of its own does it. */
const INLINE_MAX_BYTES = 1024 * 1024;
/** Threads that hash at once: one per two cores, since steps and heartbeats need the others. */
const THREADS_MAX = Math.max(1, Math.min(4, Math.floor(availableParallelism() / 2)));
/** A thread unused for this long ends. */
const THREAD_IDLE_MS = 10_000;

/** SHA-256 and size of what an open file has to give from its current position on. Memory stays flat at any size. */
export async function hashDescriptor(fd: number, expectedSize: number): Promise<HashedBytes> {
  if (expectedSize > INLINE_MAX_BYTES) return await hashInThread(fd);
  const buffer = Buffer.allocUnsafe(expectedSize + 1);
  let size = 0;
  while (size < buffer.length) {
    const read = readSync(fd, buffer, size, buffer.length - size, null);
    if (read === 0) return { digest: hash("sha256", buffer.subarray(0, size)), size };
    size += read;
  }
  throw new Error(`A file of ${expectedSize} bytes grew while it was being read`);
}

/** The same for a file by its path; a link is not followed. */
export async function hashFile(path: string, expectedSize: number): Promise<HashedBytes> {
  const fd = openSync(path, constants.O_RDONLY | constants.O_NOFOLLOW);
  try {
    return await hashDescriptor(fd, expectedSize);
  } finally {
    closeSync(fd);
  }
}

interface Job {
  readonly fd: number;
  readonly resolve: (hashed: HashedBytes) => void;
  readonly reject: (error: unknown) => void;
}

const waiting: Job[] = [];
const idle = new Map<Worker, NodeJS.Timeout>();
const busy = new Map<Worker, Job>();

function hashInThread(fd: number): Promise<HashedBytes> {
  return new Promise((resolve, reject) => {
    waiting.push({ fd, resolve, reject });
    dispatch();
  });
}

function dispatch(): void {
  while (waiting.length > 0) {
    const worker = takeIdle() ?? (busy.size < THREADS_MAX ? startThread() : null);
    if (worker === null) return;
    const job = waiting.shift()!;
    busy.set(worker, job);
    worker.ref();
    worker.postMessage(job.fd);
  }
}

function takeIdle(): Worker | null {
  for (const [worker, timer] of idle) {
    clearTimeout(timer);
    idle.delete(worker);
    return worker;
  }
  return null;
}

function startThread(): Worker {
  const worker = new Worker(new URL("./hash-worker.ts", import.meta.url), {
    resourceLimits: { maxOldGenerationSizeMb: 32, maxYoungGenerationSizeMb: 4 },
  });
  worker.on("message", (answer: HashedBytes | { readonly error: unknown }) => {
    const job = busy.get(worker)!;
    busy.delete(worker);
    worker.unref();
    idle.set(worker, setTimeout(() => retire(worker), THREAD_IDLE_MS).unref());
    if ("error" in answer) job.reject(answer.error);
    else job.resolve(answer);
    dispatch();
  });
  worker.on("error", (error) => {
    busy.get(worker)?.reject(error);
    busy.delete(worker);
    dispatch();
  });
  return worker;
}

function retire(worker: Worker): void {
  idle.delete(worker);
  void worker.terminate();
}
