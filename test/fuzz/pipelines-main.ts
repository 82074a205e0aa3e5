import { availableParallelism } from "node:os";
import { parseArgs } from "node:util";
import { checkPipeline } from "./check-pipeline.ts";
import { fuzzPipelines } from "./fuzz-pipelines.ts";
import { pipelineText } from "./pipeline-texts.ts";

/**
 * `npm run fuzz-pipelines -- [--inputs 1000000] [--seed 1]`: exits 1 when a pipeline file made the compiler crash, hang,
 * take over a second, or return what callers cannot rely on. `--only INDEX` prints one input and tries it alone.
 */
const { values } = parseArgs({
  options: {
    inputs: { type: "string", default: "1000000" },
    seed: { type: "string", default: "1" },
    only: { type: "string" },
  },
});
const seed = Number(values.seed);
if (values.only !== undefined) {
  const text = pipelineText(seed, Number(values.only));
  process.stdout.write(`${text}\n`);
  checkPipeline(text);
} else {
  const inputs = Number(values.inputs);
  const startedAt = performance.now();
  const failures = await fuzzPipelines({
    ...{ seed, inputs, threads: availableParallelism() },
    onProgress: (done) => process.stderr.write(`\r${done} of ${inputs}`),
  });
  const seconds = Math.round((performance.now() - startedAt) / 1000);
  process.stdout.write(`\n${inputs} pipeline files in ${seconds} s: ${failures.length} failures\n`);
  for (const { index, why } of failures.slice(0, 20)) {
    process.stdout.write(`\n${why}\n  npm run fuzz-pipelines -- --seed ${seed} --only ${index}\n`);
  }
  if (failures.length > 0) process.exitCode = 1;
}
