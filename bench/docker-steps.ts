import { ensureDocker, testImage } from "../test/setup/docker.ts";
import { interleaved, spread } from "./measure.ts";
import { chain, fanOut } from "./pipelines.ts";
import { Platform, stepsMs } from "./platform.ts";
import { spawnRepeatedly } from "./raw.ts";
import type { Finding } from "./report.ts";

/** Long enough that the first container, which nothing could make ahead, weighs little. */
const STEPS = 30;
const FAN_OUT = 24;
const PARALLEL = [1, 2, 4, 8];
/** Says something and writes something, so that logs and artifacts are part of what is measured. */
const SCRIPT = "echo working; echo result > ${BERTH_OUT:-/tmp}/result";

/** A step in Docker against `docker run --rm` of the same command in the same image. */
export async function dockerSteps(rounds: number): Promise<Finding> {
  await using _docker = await ensureDocker();
  const image = await testImage();
  const environment = { image };
  const step = { run: SCRIPT, outputs: { result: "result" } };
  const raw = ["docker", "run", "--rm", image, "sh", "-c", SCRIPT] as const;

  const chained = chain("chain", STEPS, environment, () => step);
  const serialRows: string[][] = [];

  const chainSeries = await (async () => {
    await using platform = await Platform.start();
    return await interleaved(
      {
        raw: async () => (await spawnRepeatedly(raw, { count: STEPS, parallel: 1 })) / STEPS,
        chain: async () => stepsMs((await platform.run(chained, "docker")).run) / STEPS,
      },
      rounds,
    );
  })();
  const fanSeries = new Map<number, { raw: number; berth: number }>();
  for (const parallel of PARALLEL) {
    await using platform = await Platform.start({ agentSettings: { stepsAtOnce: parallel } });
    const wide = fanOut("fan", FAN_OUT, environment, step);
    const series = await interleaved(
      {
        raw: () => spawnRepeatedly(raw, { count: FAN_OUT, parallel }),
        berth: async () => stepsMs((await platform.run(wide, "docker")).run),
      },
      Math.ceil(rounds / 2),
    );
    fanSeries.set(parallel, {
      raw: spread(series.get("raw")!.values).median,
      berth: spread(series.get("berth")!.values).median,
    });
  }

  const rawMs = spread(chainSeries.get("raw")!.values);
  const chainMs = spread(chainSeries.get("chain")!.values);
  serialRows.push(["`docker run --rm`, one at a time", rawMs.median.toFixed(0), perSecond(1, rawMs.median)]);
  serialRows.push([`chain of ${STEPS} steps`, chainMs.median.toFixed(0), perSecond(1, chainMs.median)]);
  for (const [parallel, { raw: rawTotal, berth }] of fanSeries) {
    const name = parallel === 1 ? "one at a time" : `${parallel} at once`;
    serialRows.push([
      `\`docker run --rm\` × ${FAN_OUT}, ${name}`,
      (rawTotal / FAN_OUT).toFixed(0),
      perSecond(FAN_OUT, rawTotal),
    ]);
    serialRows.push([`${FAN_OUT} steps, ${name}`, (berth / FAN_OUT).toFixed(0), perSecond(FAN_OUT, berth)]);
  }
  const alone = fanSeries.get(1)!;
  return {
    title: "Steps in Docker",
    table: [["what", "ms per step", "steps per second"], ...serialRows],
    ratios: [
      { what: "step time in a chain / `docker run`", value: chainMs.median / rawMs.median, atMost: 0.35 },
      {
        what: "step time, independent steps one at a time / `docker run`",
        value: alone.berth / alone.raw,
        atMost: 0.6,
      },
      ...[2, 4, 8].map((parallel) => {
        const { raw: rawTotal, berth } = fanSeries.get(parallel)!;
        return {
          what: `steps per second, ${parallel} at once / \`docker run\``,
          value: rawTotal / berth,
          atLeast: 1.5,
        };
      }),
    ],
    notes: ["Each step is a container of its own that is used once; its log and its artifact are part of the time."],
  };
}

function perSecond(count: number, milliseconds: number): string {
  return ((count * 1000) / milliseconds).toFixed(1);
}
