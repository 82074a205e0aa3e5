import { existsSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { parseArgs } from "node:util";
import { replaceGlobals } from "./world/globals.ts";
import { replaceModules } from "./world/module-hooks.ts";

/** Simulates one seed after another, in a process of its own because it replaces parts of Node: see main.ts. */

const { values } = parseArgs({
  options: {
    seed: { type: "string", default: "1" },
    seeds: { type: "string", default: "1" },
    /** From one seed to the next: children share a range. */
    stride: { type: "string", default: "1" },
    /** Begins no further seed after this many seconds. */
    seconds: { type: "string" },
    store: { type: "string", default: "memory" },
    trace: { type: "boolean", default: false },
    /** Stops after the first seed with a violation. */
    first: { type: "boolean", default: false },
  },
});

const startedAt = process.hrtime.bigint();
const isLate = () =>
  Number(process.hrtime.bigint() - startedAt) / 1e9 > Number(values.seconds ?? Number.POSITIVE_INFINITY);
replaceModules(resolve(import.meta.dirname, "../.."));
// In memory where there is such a place: a simulated disk needs no real one.
const folder = mkdtempSync(join(existsSync("/dev/shm") ? "/dev/shm" : tmpdir(), "berth-simulation-"));
const { simulate } = await import("./simulate.ts");
replaceGlobals();
try {
  const first = Number(values.seed);
  for (let index = 0; index < Number(values.seeds) && !isLate(); index++) {
    const seed = first + index * Number(values.stride);
    const onTrace = (line: string) => process.stderr.write(`${line}\n`);
    const result = await simulate({ seed, folder, ...(values.trace ? { onTrace } : {}) });
    process.stdout.write(`${JSON.stringify(result)}\n`);
    if (values.first && result.violations.length > 0) break;
  }
} finally {
  rmSync(folder, { recursive: true, force: true });
}
