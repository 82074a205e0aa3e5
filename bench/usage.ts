import { mkdirSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { pino } from "pino";
import { UsageSampler } from "../src/agent/usage-sampler.ts";
import { dockerBackend } from "../src/backends/docker/docker-backend.ts";
import type { AttemptSpec, BackendSession, Handle } from "../src/backends/execution-backend.ts";
import { ensureDocker, testImage } from "../test/setup/docker.ts";
import { interleaved, spread } from "./measure.ts";
import type { Finding } from "./report.ts";

/** Containers that run beside each other. */
const COUNT = 50;
const WINDOW_MS = 8_000;
/** Each round is two windows. */
const ROUNDS_MAX = 4;

/** What it costs an agent to see what its running containers use: CPU time of its process, with and without looking. */
export async function usageSampling(rounds: number): Promise<Finding> {
  await using _docker = await ensureDocker();
  const image = await testImage();
  const folder = mkdtempSync(join(tmpdir(), "berth-bench-usage-"));
  await using session = await dockerBackend.open({
    installation: `bench${process.pid}`,
    stateFolder: join(folder, "state"),
    settings: {},
  });
  const handles: Handle[] = [];
  try {
    for (let index = 0; index < COUNT; index++) handles.push(await startOne(session, { folder, image, index }));
    const series = await interleaved(
      { without: () => cpuShare(async () => {}), with: () => cpuShare((until) => looking(session, handles, until)) },
      Math.min(rounds, ROUNDS_MAX),
    );
    const [without, withLooks] = ["without", "with"].map((name) => spread(series.get(name)!.values).median);
    const percent = (share: number) => `${(share * 100).toFixed(1)} %`;
    return {
      title: `Looking at ${COUNT} running containers`,
      table: [
        ["what", "of one core"],
        ["the process, without looking", percent(without!)],
        ["the process, looking", percent(withLooks!)],
      ],
      ratios: [{ what: "what looking takes, of one core", value: withLooks! - without!, atMost: 0.05 }],
      notes: ["Attempts of less than a minute: each is looked at every second. Older ones are looked at less often."],
    };
  } finally {
    await Promise.all(handles.map((handle) => session.release(handle, { force: true })));
    rmSync(folder, { recursive: true, force: true });
  }
}

async function startOne(
  session: BackendSession,
  { folder, image, index }: { readonly folder: string; readonly image: string; readonly index: number },
): Promise<Handle> {
  const attempt = join(folder, `attempt-${index}`);
  for (const part of ["in", "out", "tmp"]) mkdirSync(join(attempt, part), { recursive: true });
  const spec: AttemptSpec = {
    ...{ image, argv: ["sleep", "1000"], env: {}, workingFolder: null, folder: attempt, mounts: [], network: "none" },
    ...{ labels: {}, limits: { cpus: null, memoryBytes: null, pids: 16 } },
  };
  return session.submit({ run: "bench", stepRun: `step[${index}]`, attempt: 1, scope: "bench" }, spec);
}

/** Looks at all of them as an agent does, what is told of them written out as it would be sent. */
async function looking(session: BackendSession, handles: readonly Handle[], until: Promise<void>): Promise<void> {
  using sampler = new UsageSampler(pino({ level: "silent" }));
  let told = 0;
  const onSeries = (series: object) => {
    told += JSON.stringify(series).length;
  };
  const followed = handles.map((handle) => sampler.follow({ session, handle, isAlone: () => true, onSeries }));
  await until;
  for (const one of followed) if (one.end().last === null) throw new Error("a container was not looked at");
  if (told === 0) throw new Error("nothing was told");
}

/** CPU time of this process, all its threads, in a window of time, as a share of one core. */
async function cpuShare(work: (until: Promise<void>) => Promise<void>): Promise<number> {
  const [before, startedAt] = [process.cpuUsage(), performance.now()];
  await work(sleep(WINDOW_MS));
  await sleep(Math.max(0, startedAt + WINDOW_MS - performance.now()));
  const { user, system } = process.cpuUsage(before);
  return (user + system) / 1000 / (performance.now() - startedAt);
}
