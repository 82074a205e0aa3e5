import { parentPort, workerData } from "node:worker_threads";
import { checkPipeline } from "./check-pipeline.ts";
import type { FuzzFailure, FuzzShare } from "./fuzz-pipelines.ts";
import { pipelineText } from "./pipeline-texts.ts";

/** One thread's share of the inputs. Where it is, is in memory that its parent reads, also while it hangs. */
const { seed, first, step, inputs, place } = workerData as FuzzShare;
const at = new Int32Array(place);
for (let index = first; index < inputs; index += step) {
  Atomics.store(at, 0, index);
  const text = pipelineText(seed, index);
  try {
    checkPipeline(text);
  } catch (error) {
    parentPort!.postMessage({ index, text, why: (error as Error).stack ?? String(error) } satisfies FuzzFailure);
  }
  Atomics.add(at, 1, 1);
}
