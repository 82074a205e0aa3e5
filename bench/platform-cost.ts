import { setTimeout as sleep } from "node:timers/promises";
import { ensureDocker, testImage } from "../test/setup/docker.ts";
import { elapsedMs, interleaved, spread } from "./measure.ts";
import { chain, fanOut } from "./pipelines.ts";
import { Platform } from "./platform.ts";
import { spawnOnce } from "./raw.ts";
import type { Finding } from "./report.ts";

const MIB = 1024 ** 2;
/** After a start or a run, until memory says what it is going to be. */
const SETTLE_MS = 3_000;
const SAMPLE_MS = 100;

/** What the platform itself costs: memory idle and at work, the time to start, and one trivial run. */
export async function platformCost(rounds: number): Promise<Finding> {
  await using _docker = await ensureDocker();
  const image = await testImage();
  const first = await Platform.start();
  const { home, readyMs: firstStartMs } = first;
  await first.stop();

  await using platform = await Platform.start({ home });
  await sleep(SETTLE_MS);
  const idle = platform.memory();
  const peak = await peakDuring(platform, () =>
    platform.run(fanOut("load", 500, { image }, { command: ["true"] }), "process"),
  );
  await sleep(SETTLE_MS);
  const after = platform.memory();

  const one = chain("one", 1, { image }, () => ({ command: ["true"] }));
  const runs = await interleaved(
    {
      raw: () => elapsedMs(() => spawnOnce(["docker", "run", "--rm", image, "true"])),
      berth: async () => (await platform.run(one, "docker")).wallMs,
    },
    rounds,
  );
  const raw = spread(runs.get("raw")!.values).median;
  const berth = spread(runs.get("berth")!.values).median;
  const mib = (bytes: number) => (bytes / MIB).toFixed(0);
  return {
    title: "The platform itself",
    table: [
      ["what", "server", "agent"],
      ["memory idle, MiB", mib(idle.server), mib(idle.agent)],
      ["memory peak while running 500 steps, MiB", mib(peak.server), mib(peak.agent)],
      ["memory afterwards, MiB", mib(after.server), mib(after.agent)],
      ["first start, until `berth up` says that it is up, ms", firstStartMs.toFixed(0), ""],
      ["later starts, ms", platform.readyMs.toFixed(0), ""],
      ["one trivial step, from request to end, ms", berth.toFixed(0), `\`docker run\`: ${raw.toFixed(0)}`],
    ],
    ratios: [
      { what: "agent's memory at work, MiB", value: peak.agent / MIB, atMost: 120 },
      { what: "server's memory at work, MiB", value: peak.server / MIB, atMost: 200 },
      { what: "later start, s", value: platform.readyMs / 1000, atMost: 2 },
      { what: "one trivial run beyond `docker run`, s", value: (berth - raw) / 1000, atMost: 0.5 },
    ],
  };
}

async function peakDuring(
  platform: Platform,
  work: () => Promise<unknown>,
): Promise<{ server: number; agent: number }> {
  const peak = platform.memory();
  const timer = setInterval(() => {
    const now = platform.memory();
    peak.server = Math.max(peak.server, now.server);
    peak.agent = Math.max(peak.agent, now.agent);
  }, SAMPLE_MS);
  try {
    await work();
  } finally {
    clearInterval(timer);
  }
  return peak;
}
