import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { elapsedMs, interleaved, spread } from "./measure.ts";
import { chain, fanOut } from "./pipelines.ts";
import { Platform, stepsMs } from "./platform.ts";
import { isInstalled, spawnOnce, spawnRepeatedly } from "./raw.ts";
import type { Finding, Ratio } from "./report.ts";

const CHAIN = 200;
const FAN_OUT = 500;
const PARALLEL = 4;
const LINEAR = { few: 500, many: 5000 };
/** Not used by the process backend; a pipeline names an environment all the same. */
const ENVIRONMENT = { image: "none" };
const NOOP = { command: ["true"] };

/** No-op steps, durable and with logs, against Node's own spawn of the same command, and against Snakemake. */
export async function processSteps(rounds: number): Promise<Finding> {
  await using platform = await Platform.start({ agentSettings: { stepsAtOnce: PARALLEL } });
  const time = async (pipeline: object) => stepsMs((await platform.run(pipeline, "process")).run);
  const series = await interleaved(
    {
      "spawn chain": () => spawnRepeatedly(["true"], { count: CHAIN, parallel: 1 }),
      "Berth chain": () => time(chain("chain", CHAIN, ENVIRONMENT, () => NOOP)),
      "spawn fan-out": () => spawnRepeatedly(["true"], { count: FAN_OUT, parallel: PARALLEL }),
      "Berth fan-out": () => time(fanOut("fan", FAN_OUT, ENVIRONMENT, NOOP)),
    },
    rounds,
    2,
  );
  const median = (name: string) => spread(series.get(name)!.values).median;
  // A short run is over before what it left is removed; a long one pays for that while it goes on.
  const whole = (pipeline: object) =>
    elapsedMs(async () => {
      await platform.run(pipeline, "process");
      await platform.swept();
    });
  const linear = await interleaved(
    {
      few: () => whole(fanOut("few", LINEAR.few, ENVIRONMENT, NOOP)),
      many: () => whole(fanOut("many", LINEAR.many, ENVIRONMENT, NOOP)),
    },
    Math.ceil(rounds / 2),
    1,
  );
  const few = spread(linear.get("few")!.values).median;
  const many = spread(linear.get("many")!.values).median;

  const rows = [
    row("Node `spawn`, one after another", CHAIN, median("spawn chain")),
    row("Berth, chain", CHAIN, median("Berth chain")),
    row(`Node \`spawn\`, ${PARALLEL} at once`, FAN_OUT, median("spawn fan-out")),
    row(`Berth, fan-out, ${PARALLEL} at once`, FAN_OUT, median("Berth fan-out")),
    row("Berth, fan-out, with all that it left removed", LINEAR.few, few),
    row("Berth, fan-out, with all that it left removed", LINEAR.many, many),
  ];
  const ratios: Ratio[] = [
    {
      what: `steps per second, chain of ${CHAIN} / spawn`,
      value: median("spawn chain") / median("Berth chain"),
      atLeast: 0.5,
    },
    {
      what: `steps per second, fan-out of ${FAN_OUT} / spawn`,
      value: median("spawn fan-out") / median("Berth fan-out"),
      atLeast: 0.5,
    },
    { what: `time of ${LINEAR.many} steps / of ${LINEAR.few}`, value: many / few, atMost: 11 },
  ];
  const notes: string[] = [];
  if (await isInstalled("snakemake")) {
    const chained = await snakemakeMs("chain");
    const wide = await snakemakeMs("fan-out");
    rows.push(row("Snakemake, chain", CHAIN, chained), row("Snakemake, fan-out, 2 cores", FAN_OUT, wide));
    ratios.push(
      { what: "steps per second, chain / Snakemake", value: chained / median("Berth chain"), atLeast: 2.5 },
      { what: "steps per second, fan-out / Snakemake", value: wide / median("Berth fan-out"), atLeast: 5 },
    );
  } else {
    notes.push("Snakemake is not installed here (Debian package `snakemake`), so it is not in the table.");
  }
  return {
    title: "No-op steps as processes",
    table: [["what", "steps", "ms per step", "steps per second"], ...rows],
    ratios,
    notes,
  };
}

function row(what: string, count: number, milliseconds: number): string[] {
  return [what, String(count), (milliseconds / count).toFixed(2), ((count * 1000) / milliseconds).toFixed(0)];
}

async function snakemakeMs(shape: "chain" | "fan-out"): Promise<number> {
  const folder = mkdtempSync(join(tmpdir(), "berth-bench-snakemake-"));
  try {
    writeFileSync(join(folder, "Snakefile"), shape === "chain" ? snakeChain() : snakeFanOut());
    return await elapsedMs(() => spawnOnce(["snakemake", "--cores", "2", "--quiet", "--nolock"], folder));
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

function snakeChain(): string {
  const rules = Array.from({ length: CHAIN }, (_, index) => {
    const input = index === 0 ? "" : `    input: "o${index - 1}"\n`;
    return `rule s${index}:\n${input}    output: touch("o${index}")\n    shell: "true"\n`;
  });
  return `rule all:\n    input: "o${CHAIN - 1}"\n${rules.join("")}`;
}

function snakeFanOut(): string {
  return `rule all:\n    input: expand("o{i}", i=range(${FAN_OUT}))\nrule work:\n    output: touch("o{i}")\n    shell: "true"\n`;
}
