import { spawn } from "node:child_process";
import { once } from "node:events";
import { createInterface } from "node:readline";
import { ensureDocker, testImage } from "../test/setup/docker.ts";
import { elapsedMs, interleaved, spread } from "./measure.ts";
import { Platform } from "./platform.ts";
import { spawnOnce } from "./raw.ts";
import type { Finding } from "./report.ts";

/** Ends by itself at TERM, as a program does that has something to put in order. */
const SCRIPT = "trap 'exit 0' TERM; echo ready; while :; do sleep 0.05; done";
const RAW = "berth-bench-cancel";

/** From the request to cancel until the run is known to have ended, its container gone, against `docker stop`. */
export async function cancelled(rounds: number): Promise<Finding> {
  await using _docker = await ensureDocker();
  const image = await testImage();
  await using platform = await Platform.start();
  const pipeline = { name: "cancel", environment: { image }, steps: { wait: { run: SCRIPT } } };
  const series = await interleaved(
    {
      raw: () => stopMs(image),
      berth: async () => {
        const run = await platform.submit(pipeline, "docker");
        await platform.said(run.id, "ready");
        return await elapsedMs(async () => {
          await platform.post(`/runs/${run.id}/cancel`, {});
          const { state } = await platform.ended(run.id);
          if (state !== "cancelled") throw new Error(`the run is ${state}`);
        });
      },
    },
    rounds,
  );
  const [raw, berth] = [spread(series.get("raw")!.values), spread(series.get("berth")!.values)];
  return {
    title: "Cancel",
    table: [
      ["what", "median, ms", "worst, ms"],
      ["`docker stop` of a container that ends at TERM", raw.median.toFixed(0), raw.max.toFixed(0)],
      ["cancel of a run with such a step, until its end is known", berth.median.toFixed(0), berth.max.toFixed(0)],
    ],
    ratios: [{ what: "cancel beyond `docker stop`, s", value: (berth.median - raw.median) / 1000, atMost: 1 }],
  };
}

async function stopMs(image: string): Promise<number> {
  const child = spawn("docker", ["run", "--rm", "--name", RAW, image, "sh", "-c", SCRIPT], {
    stdio: ["ignore", "pipe", "inherit"],
  });
  const ended = once(child, "exit");
  await once(createInterface({ input: child.stdout }), "line");
  const milliseconds = await elapsedMs(() => spawnOnce(["docker", "stop", RAW]));
  await ended;
  return milliseconds;
}
