import { parseArgs } from "node:util";
import { fuzzApi } from "./fuzz-api.ts";

/** `npm run fuzz-api -- [--examples 30] [--minutes 10]`: exits 1 when the server failed at a request, or did not answer. */
const { values } = parseArgs({
  options: { examples: { type: "string", default: "30" }, minutes: { type: "string", default: "10" } },
});
const result = await fuzzApi({
  phases: ["coverage", "fuzzing"],
  ...{ examples: Number(values.examples), maxSeconds: Number(values.minutes) * 60 },
});
if (result === null) {
  process.stdout.write("skipped: the tool that makes the requests cannot be installed here\n");
} else {
  process.stdout.write(`${result.report}\n`);
  if (!result.passed) process.exitCode = 1;
}
