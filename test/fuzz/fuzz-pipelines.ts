import { once } from "node:events";
import { Worker } from "node:worker_threads";
import { pipelineText } from "./pipeline-texts.ts";

export interface FuzzShare {
  readonly seed: number;
  readonly first: number;
  readonly step: number;
  readonly inputs: number;
  /** Two Int32: the index that is worked on, and how many are done. */
  readonly place: SharedArrayBuffer;
}

export interface FuzzFailure {
  readonly index: number;
  readonly text: string;
  readonly why: string;
}

export interface FuzzOptions {
  readonly seed: number;
  readonly inputs: number;
  readonly threads: number;
  readonly onProgress?: (done: number) => void;
}

/** What is slow is told by its thread; this is for what never comes back. */
const HANG_MS = 30_000;
const LOOK_INTERVAL_MS = 2_000;

/** Compiles so many random pipeline files; returns those that crashed, hung or took over a second. */
export async function fuzzPipelines({ seed, inputs, threads, onProgress }: FuzzOptions): Promise<FuzzFailure[]> {
  const failures: FuzzFailure[] = [];
  const done = new Array<number>(threads).fill(0);
  const share = async (first: number): Promise<void> => {
    const place = new SharedArrayBuffer(8);
    const at = new Int32Array(place);
    const workerData: FuzzShare = { seed, first, step: threads, inputs, place };
    const worker = new Worker(new URL("./fuzz-pipelines-worker.ts", import.meta.url), { workerData });
    worker.on("message", (failure: FuzzFailure) => failures.push(failure));
    const ended = once(worker, "exit");
    let [seen, since] = [-1, performance.now()];
    const timer = setInterval(() => {
      done[first] = Atomics.load(at, 1);
      onProgress?.(done.reduce((sum, count) => sum + count, 0));
      if (done[first] !== seen) [seen, since] = [done[first], performance.now()];
      else if (performance.now() - since > HANG_MS) {
        const index = Atomics.load(at, 0);
        failures.push({ index, text: pipelineText(seed, index), why: `it did not end within ${HANG_MS / 1000} s` });
        void worker.terminate();
      }
    }, LOOK_INTERVAL_MS);
    try {
      await ended;
    } finally {
      clearInterval(timer);
    }
  };
  await Promise.all(Array.from({ length: threads }, (_, first) => share(first)));
  return failures;
}
