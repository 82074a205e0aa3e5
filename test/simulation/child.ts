import { existsSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { parseArgs } from "node:util";
import { MUTANTS } from "./mutants.ts";
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
    /** The name of a past failure, to be put back. */
    mutant: { type: "string" },
    /** Stops after the first seed with a violation. */
    first: { type: "boolean", default: false },
  },
});

const startedAt = process.hrtime.bigint();
const isLate = () =>
  Number(process.hrtime.bigint() - startedAt) / 1e9 > Number(values.seconds ?? Number.POSITIVE_INFINITY);
const mutant = values.mutant === undefined ? null : MUTANTS.find(({ name }) => name === values.mutant)!;
replaceModules(resolve(import.meta.dirname, "../.."), mutant);
// Where an error came from is of use to those who look at one seed; to find out takes longer than most of what happens.
if (!values.trace) Error.stackTraceLimit = 2;
// In memory where there is such a place: a simulated disk needs no real one.
const folder = mkdtempSync(join(existsSync("/dev/shm") ? "/dev/shm" : tmpdir(), "berth-simulation-"));
const { simulate } = await import("./simulate.ts");
const stack = new AsyncDisposableStack();
const open = values.store === "postgres" ? await openPostgres() : undefined;
replaceGlobals();
try {
  const first = Number(values.seed);
  for (let index = 0; index < Number(values.seeds) && !isLate(); index++) {
    const seed = first + index * Number(values.stride);
    const onTrace = (line: string) => process.stderr.write(`${line}\n`);
    const more = { ...(values.trace ? { onTrace } : {}), ...(open === undefined ? {} : { open }) };
    const result = await simulate({ seed, folder, ...more });
    process.stdout.write(`${JSON.stringify(result)}\n`);
    if (values.first && result.violations.length > 0) break;
  }
} finally {
  await stack.disposeAsync();
  rmSync(folder, { recursive: true, force: true });
}

/** The real server on the cluster whose address is in the environment. */
async function openPostgres() {
  const { SimulatedDatabase } = await import("./simulated-database.ts");
  const { openReal } = await import("./open-real.ts");
  const { Scheduler, useScheduler } = await import("./world/virtual-time.ts");
  useScheduler(new Scheduler(0));
  const simulated = stack.use(await SimulatedDatabase.open(process.env.BERTH_TEST_DATABASE_URL!));
  return (scenario: Parameters<typeof openReal>[1], scheduler: Parameters<typeof openReal>[2]) =>
    openReal(simulated, scenario, scheduler);
}
