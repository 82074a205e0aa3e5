import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { Platform } from "./platform.ts";

/**
 * Makes a sparse file of many gigabytes the output of a step, so that the agent sends it and the server stores it, and says
 * how much memory the two took more than before:
 *
 *     node bench/transfer-memory.ts 10
 */

const GiB = 1024 ** 3;
const MiB = 1024 ** 2;
const SAMPLE_INTERVAL_MS = 100;
/** Of each. */
const EXTRA_BYTES_MAX = 100 * MiB;

const gib = Number(process.argv[2] ?? "2");

/** The last bytes are others each time: what is stored already is not sent. */
const pipelineOf = (bytes: number) => ({
  name: "moves",
  environment: { image: "busybox" },
  steps: {
    make: {
      run: `truncate -s ${bytes} "$BERTH_OUT/file" && echo ${Math.random()} >> "$BERTH_OUT/file"`,
      outputs: { file: { path: "file" } },
    },
  },
});

await using platform = await Platform.start({ agentSettings: { cacheBytesMax: 4 * gib * GiB } });
await platform.run(pipelineOf(32 * MiB), "process");
const { pid } = JSON.parse(readFileSync(join(platform.home, "server.json"), "utf8")) as { pid: number };
const before = residentBytes(pid);
const peak = new Map(before);
const sampling = new AbortController();
const sampled = sample(sampling.signal);
const { wallMs } = await platform.run(pipelineOf(gib * GiB), "process");
sampling.abort();
await sampled;
const extras = [...peak].map(([process, bytes]) => ({
  name: process === pid ? "server" : "agent",
  before: before.get(process) ?? 0,
  extra: bytes - (before.get(process) ?? 0),
}));
const rate = Math.round((gib * 1024 * 1000) / wallMs);
process.stdout.write(`${gib} GiB made, hashed, sent and stored in ${(wallMs / 1000).toFixed(1)} s, ${rate} MiB/s\n`);
for (const { name, before: was, extra } of extras) {
  process.stdout.write(`${name}: ${Math.round(was / MiB)} MiB before, at most ${Math.round(extra / MiB)} MiB more\n`);
}
if (extras.some(({ extra }) => extra > EXTRA_BYTES_MAX)) process.exitCode = 1;

async function sample(signal: AbortSignal): Promise<void> {
  while (!signal.aborted) {
    for (const [process, bytes] of residentBytes(pid)) {
      if (before.has(process)) peak.set(process, Math.max(bytes, peak.get(process)!));
    }
    await sleep(SAMPLE_INTERVAL_MS, undefined, { signal }).catch(() => {});
  }
}

/** Of the server and the agent, by process id: the two are children of one supervisor. */
function residentBytes(server: number): Map<number, number> {
  const found = new Map<number, number>();
  const supervisor = parentOf(server);
  for (const name of readdirSync("/proc").filter((entry) => /^\d+$/.test(entry))) {
    try {
      if (parentOf(Number(name)) !== supervisor) continue;
      const pages = Number(readFileSync(`/proc/${name}/statm`, "utf8").split(" ")[1]);
      found.set(Number(name), pages * 4096);
    } catch {
      // It ended meanwhile.
    }
  }
  return found;
}

function parentOf(process: number): number {
  return Number(/^PPid:\s+(\d+)$/m.exec(readFileSync(`/proc/${process}/status`, "utf8"))?.[1]);
}
