import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { elapsedMs, interleaved, spread } from "./measure.ts";
import { fanOut } from "./pipelines.ts";
import { Platform } from "./platform.ts";
import { spawnRepeatedly } from "./raw.ts";
import type { Finding } from "./report.ts";

const STEPS = 1000;
const PARALLEL = 4;
/** What a step leaves is taken over with it, so each has an output. */
const STEP = { run: "echo made > $BERTH_OUT/made", outputs: { made: "made" }, cache: true };

/** A run all of whose steps were made before, from the command to its end, and the plan of such a run. */
export async function cachedSteps(rounds: number): Promise<Finding> {
  const folder = mkdtempSync(join(tmpdir(), "berth-bench-cached-"));
  try {
    await using platform = await Platform.start();
    const file = join(folder, "pipeline.json");
    writeFileSync(file, JSON.stringify(fanOut("replay", STEPS, { image: "none" }, STEP)));
    const run = ["run", file, "--backend", "process"];
    const madeMs = await elapsedMs(() => platform.cli(...run));
    const series = await interleaved(
      {
        spawn: () => spawnRepeatedly(["sh", "-c", "exit 0"], { count: STEPS, parallel: PARALLEL }),
        replay: () => replayMs(platform, run),
        plan: () => planMs(platform, file),
      },
      rounds,
    );
    const median = (name: string) => spread(series.get(name)!.values).median;
    return {
      title: "Steps whose result is known",
      table: [
        ["what", "steps", "ms", "steps per second"],
        row("`berth run`, all steps made for the first time", madeMs),
        row(`Node \`spawn\` of \`sh\`, ${PARALLEL} at once`, median("spawn")),
        row("`berth run`, all steps taken from the cache", median("replay")),
        row("`berth cache plan` of such a run", median("plan")),
      ],
      ratios: [
        {
          what: "results taken per second, `berth run` from command to end",
          value: (STEPS * 1000) / median("replay"),
          atLeast: 200,
        },
        { what: "the same / Node `spawn` of `sh`", value: median("spawn") / median("replay"), atLeast: 1 },
      ],
    };
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

async function replayMs(platform: Platform, run: readonly string[]): Promise<number> {
  const milliseconds = await elapsedMs(() => platform.cli(...run));
  const { items } = await platform.get<{ items: { takenFrom: number | null }[] }>("/runs/latest/cache");
  const taken = items.filter(({ takenFrom }) => takenFrom !== null).length;
  if (taken !== STEPS) throw new Error(`${taken} of ${STEPS} results were taken from the cache`);
  return milliseconds;
}

async function planMs(platform: Platform, file: string): Promise<number> {
  let printed = "";
  const milliseconds = await elapsedMs(async () => {
    printed = await platform.cli("cache", "plan", file, "--json");
  });
  const { steps } = JSON.parse(printed) as { steps: { verdict: string }[] };
  const hits = steps.filter(({ verdict }) => verdict === "hit").length;
  if (hits !== STEPS) throw new Error(`${hits} of ${STEPS} steps would be taken from the cache`);
  return milliseconds;
}

function row(what: string, milliseconds: number): string[] {
  return [what, String(STEPS), milliseconds.toFixed(0), ((STEPS * 1000) / milliseconds).toFixed(0)];
}
