import { spawnSync } from "node:child_process";
import { readdirSync, readFileSync } from "node:fs";
import { connect, createServer } from "node:net";
import { join } from "node:path";
import { text } from "node:stream/consumers";
import { setTimeout as sleep } from "node:timers/promises";
import type { Run, RunDetail, StepRun, WorkerSummary } from "../../src/protocol/resources.ts";
import { isTerminal, RUN_TRANSITIONS } from "../../src/protocol/states.ts";
import { ScenarioPlatform, until } from "../scenarios/platform.ts";
import { forbiddenCalls } from "../setup/engine-calls.ts";
import { recordEngine } from "../setup/engine-recorder.ts";
import { testPerlImage } from "../setup/perl-image.ts";
import { BREACH, type Probe, type World } from "./probe.ts";

/** Silence of an agent after which a platform would begin to doubt it: two heartbeats. */
export const HEARTBEAT_GAP_MAX_MS = 10_000;
const LOOK_INTERVAL_MS = 250;
const ANSWER_TIMEOUT_MS = 10_000;
const RUN_TIMEOUT_MS = 5 * 60_000;
const METADATA_ADDRESS = "169.254.169.254";
const CANARY = ["berth-canary-", "8f2c61d0b7"] as const;

export interface Verdict {
  readonly probe: Probe;
  readonly verdict: "refused" | "contained" | "BREACH" | "unclear";
  /** What the step said last, or how it ended. */
  readonly evidence: string;
}

export interface TrialResult {
  readonly verdicts: readonly Verdict[];
  readonly heartbeatGapMs: number;
  /** What the probes did to what was beside them; empty for none. */
  readonly harm: readonly string[];
  /** Whether the metadata address could be given to a listener of this machine. */
  readonly metadataTried: boolean;
}

/** Runs every probe as a step beside a run that is to notice nothing, on a platform of its own. */
export async function probeTrial(probes: readonly Probe[], say: (line: string) => void): Promise<TrialResult> {
  const image = await testPerlImage();
  await using owned = new AsyncDisposableStack();
  const platform = new ScenarioPlatform();
  const recorder = owned.use(await recordEngine(join(platform.folder, "engine.sock")));
  platform.env.DOCKER_HOST = recorder.host;
  owned.use(platform);
  const metadata = owned.use(await metadataListener());
  const file = platform.write("victim.json", victimPipeline(image, metadata.port));
  const begun = await platform.berth("run", file, "--backend", "docker", "--detach", "--json");
  if (begun.code !== 0) throw new Error(begun.stderr);
  const victim = JSON.parse(begun.stdout) as Run;
  const { url, token } = platform.endpoint();
  const ask = async (path: string, body?: object): Promise<string> => {
    const answer = await fetch(`${url}/api/v1${path}`, {
      headers: { authorization: `Bearer ${token}`, "content-type": "application/json" },
      ...(body === undefined ? {} : { method: "POST", body: JSON.stringify(body) }),
    });
    if (!answer.ok) throw new Error(`${path}: ${answer.status} ${await answer.text()}`);
    return await answer.text();
  };
  const call = async <T>(path: string, body?: object) => JSON.parse(await ask(path, body)) as T;
  owned.defer(async () => {
    await ask(`/runs/${victim.id}/cancel`, {});
    await waitForEnd(
      () => call<RunDetail>(`/runs/${victim.id}`),
      async () => {},
    );
    await platform.tidy();
  });
  const world = await worldOf(platform, metadata.port);
  say(`${probes.length} probes beside a run that is to notice nothing`);
  const pipeline = JSON.stringify(probePipeline(image, probes, world));
  const run = await call<Run>("/runs", { pipeline, backend: "docker" });
  const gaps = new HeartbeatGaps(
    async () => (await call<{ items: WorkerSummary[] }>("/workers")).items[0]?.lastSeenAt ?? null,
  );
  await waitForEnd(
    () => call<RunDetail>(`/runs/${run.id}`),
    () => gaps.look(),
  );
  const { items } = await call<{ items: StepRun[] }>(`/runs/${run.id}/steps?limit=500`);
  const verdicts: Verdict[] = [];
  for (const probe of probes) {
    const step = items.find(({ key }) => key === probe.name)!;
    verdicts.push(judge(probe, step, await lastWords(ask, run.id, probe.name)));
  }

  const harm = forbiddenCalls(recorder.calls);
  const [beside] = (await call<{ items: StepRun[] }>(`/runs/${victim.id}/steps`)).items;
  if (beside?.state !== "running") harm.push(`the run beside was ${beside?.state}`);
  if (beside?.attempts.length !== 1) harm.push(`the run beside had ${beside?.attempts.length} attempts`);
  return { verdicts, heartbeatGapMs: gaps.maxMs, harm, metadataTried: metadata.isThere };
}

/** It knows the canary, in a file and in its environment, and tells it to whoever reaches it. */
function victimPipeline(image: string, port: number): object {
  const run = `
    ip -4 addr show eth0 | sed -n 's/.*inet \\([0-9.]*\\).*/\\1/p' > "$BERTH_OUT/address"
    echo "$CANARY" > /berth/tmp/canary; echo "$CANARY" > /tmp/canary
    mv "$BERTH_OUT/address" /berth/tmp/address
    while :; do echo "$CANARY" | nc -l -p ${port}; done`;
  return {
    ...{ name: "victim", environment: { image }, env: { CANARY: CANARY.join("") } },
    steps: { victim: { run } },
  };
}

function probePipeline(image: string, probes: readonly Probe[], world: World): object {
  const steps = probes.map(({ name, script, resources, outputs }) => [
    name,
    {
      ...{ run: script, allow_failure: true, retry: 0 },
      resources: { timeout: "60s", ...resources },
      ...(outputs === undefined ? {} : { outputs }),
    },
  ]);
  return { name: "probes", environment: { image }, env: world, steps: Object.fromEntries(steps) };
}

async function worldOf(platform: ScenarioPlatform, port: number): Promise<World> {
  const agent = join(platform.home, "local-agent");
  const find = () => platform.attemptsWith("tmp/address")[0];
  await until(
    "the run beside is at work",
    () => find() !== undefined,
    () => readdirSync(agent, { recursive: true }).join("\n"),
  );
  const folder = find()!;
  const victim = readFileSync(join(folder, "tmp/address"), "utf8").trim();
  // Or a probe that does not get through would show nothing. It tells its address before it listens.
  let told = "";
  await until(
    "the run beside answers this host",
    async () => {
      told = await answerOf(victim, port).catch(String);
      return told === CANARY.join("");
    },
    () => told,
  );
  return {
    AGENT_PID: String(platform.pidOf("agent")),
    VICTIM_FOLDER: folder,
    VICTIM_ADDRESS: victim,
    PORT: String(port),
    CANARY_HALVES: CANARY.join(" "),
  };
}

async function answerOf(host: string, port: number): Promise<string> {
  const socket = connect({ host, port, timeout: ANSWER_TIMEOUT_MS });
  socket.once("timeout", () => socket.destroy(new Error(`no answer from ${host}:${port}`)));
  return (await text(socket)).trim();
}

function judge(probe: Probe, step: StepRun, words: string): Verdict {
  const attempt = step.attempts.at(-1);
  const ended = attempt === undefined ? step.state : (attempt.fault?.code ?? `exit ${attempt.exitCode}`);
  const evidence = [words, ended].filter((part) => part !== "").join(" · ");
  if (attempt?.exitCode === BREACH) return { probe, verdict: "BREACH", evidence };
  if (probe.expect.kind === "refused") {
    return { probe, verdict: attempt?.exitCode === 0 ? "refused" : "unclear", evidence };
  }
  const isExpected =
    attempt !== undefined && (attempt.fault === null || probe.expect.faults.includes(attempt.fault.code));
  return { probe, verdict: isExpected ? "contained" : "unclear", evidence };
}

async function lastWords(call: (path: string) => Promise<string>, run: string, step: string): Promise<string> {
  const log = await call(`/runs/${run}/logs?step=${step}&tail=1`);
  // What a probe logs is hostile.
  return log
    .trim()
    .replace(/\p{Cc}/gu, "")
    .slice(0, 80);
}

async function waitForEnd(detail: () => Promise<RunDetail>, meanwhile: () => Promise<void>): Promise<void> {
  const deadline = performance.now() + RUN_TIMEOUT_MS;
  for (;;) {
    const { id, state } = await detail();
    if (isTerminal(RUN_TRANSITIONS, state)) return;
    if (performance.now() > deadline) throw new Error(`run ${id} is still ${state}`);
    await meanwhile();
    await sleep(LOOK_INTERVAL_MS);
  }
}

/** The longest time between two heartbeats that the server saw, by the server's own clock. */
class HeartbeatGaps {
  readonly #lastSeenAt: () => Promise<string | null>;
  #last: number | null = null;
  maxMs = 0;

  constructor(lastSeenAt: () => Promise<string | null>) {
    this.#lastSeenAt = lastSeenAt;
  }

  async look(): Promise<void> {
    const seenAt = await this.#lastSeenAt();
    if (seenAt === null) return;
    const at = Date.parse(seenAt);
    if (this.#last !== null) this.maxMs = Math.max(this.maxMs, at - this.#last);
    this.#last = at;
  }
}

interface MetadataListener extends AsyncDisposable {
  readonly port: number;
  readonly isThere: boolean;
}

/** The address by which clouds tell a machine its secrets, on this machine's loopback, where only root can put it. */
async function metadataListener(): Promise<MetadataListener> {
  const address = ["addr", "add", `${METADATA_ADDRESS}/32`, "dev", "lo"];
  const isThere = process.getuid?.() === 0 && spawnSync("busybox", ["ip", ...address]).status === 0;
  const server = createServer((socket) => socket.end("metadata\n"));
  await new Promise<void>((ready) => server.listen(0, isThere ? METADATA_ADDRESS : "127.0.0.1", ready));
  return {
    isThere,
    port: (server.address() as { port: number }).port,
    [Symbol.asyncDispose]: async () => {
      await new Promise((closed) => server.close(closed));
      if (isThere) spawnSync("busybox", ["ip", "addr", "del", ...address.slice(2)]);
    },
  };
}
