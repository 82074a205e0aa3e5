import { spawn } from "node:child_process";
import { readFileSync } from "node:fs";
import { text } from "node:stream/consumers";
import { ensureDocker, testImage } from "../test/setup/docker.ts";
import { interleaved, spread } from "./measure.ts";
import { Platform } from "./platform.ts";
import type { Finding } from "./report.ts";

/** The time since the machine started, in seconds with two digits behind the point: the same inside of a container. */
const UPTIME = "/proc/uptime";
const CLOCK = `cut -d " " -f 1 ${UPTIME}`;
/** The first attempt says when it fails, the second when it begins. */
const SCRIPT = `${CLOCK}; [ "$BERTH_ATTEMPT" -gt 1 ]`;

/** From the last act of an attempt that fails to the first of the one after it, against the start of a container. */
export async function retried(rounds: number): Promise<Finding> {
  await using _docker = await ensureDocker();
  const image = await testImage();
  await using platform = await Platform.start();
  const retry = { max: 1, delay: "0s" };
  const pipeline = { name: "retry", environment: { image }, steps: { flaky: { run: SCRIPT, retry } } };
  const series = await interleaved(
    {
      raw: () => startMs(image),
      berth: async () => {
        const { run } = await platform.run(pipeline, "docker");
        const [failedAt, begunAt] = (await platform.logs(run.id)).trim().split("\n").map(Number);
        return (begunAt! - failedAt!) * 1000;
      },
    },
    rounds,
  );
  const [raw, berth] = [spread(series.get("raw")!.values), spread(series.get("berth")!.values)];
  return {
    title: "Retry without a delay",
    table: [
      ["what", "median, ms", "worst, ms"],
      ["`docker run`, until the container's first act", raw.median.toFixed(0), raw.max.toFixed(0)],
      ["from an attempt's failure to the next one's first act", berth.median.toFixed(0), berth.max.toFixed(0)],
    ],
    ratios: [{ what: "retry beyond the start of a container, ms", value: berth.median - raw.median, atMost: 100 }],
  };
}

async function startMs(image: string): Promise<number> {
  const startedAt = Number.parseFloat(readFileSync(UPTIME, "utf8"));
  const child = spawn("docker", ["run", "--rm", image, "sh", "-c", CLOCK], { stdio: ["ignore", "pipe", "inherit"] });
  return (Number(await text(child.stdout)) - startedAt) * 1000;
}
