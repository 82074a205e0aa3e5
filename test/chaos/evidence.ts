import { createHash } from "node:crypto";
import type { RunEvent } from "../../src/protocol/events.ts";
import type { ArtifactVersion, LogLine, RunDetail, StepRun } from "../../src/protocol/resources.ts";
import { forEachLimit } from "../../src/std/for-each-limit.ts";
import type { ChaosApi } from "./api.ts";
import type { Workload } from "./workload.ts";

/** Runs that are asked for at the same time. */
const RUNS_AT_ONCE = 4;

export interface AcceptedRun {
  readonly id: string;
  readonly workload: Workload;
  /** Whether somebody asked to cancel it; it may have ended before. */
  readonly cancelled: boolean;
}

/** What the platform says of one run when all is over: what the judge holds against the ledger. */
export interface RunEvidence {
  readonly accepted: AcceptedRun;
  readonly run: Pick<RunDetail, "state" | "epoch" | "fault">;
  readonly steps: readonly StepRun[];
  /** Every artifact that the run made, with the digest of the bytes that a download gives. */
  readonly outputs: readonly { readonly stepRun: string; readonly name: string; readonly digest: string }[];
  /** Oldest first. */
  readonly events: readonly RunEvent[];
  /** What each attempt wrote to its standard output. */
  readonly logs: readonly AttemptLog[];
}

export interface AttemptLog {
  readonly stepRun: string;
  readonly attempt: number;
  readonly epoch: number;
  readonly text: string;
  /** Places at which bytes are missing or are there twice. */
  readonly breaks: number;
}

export async function collectEvidence(api: ChaosApi, runs: readonly AcceptedRun[]): Promise<RunEvidence[]> {
  const collected: RunEvidence[] = [];
  await forEachLimit(runs, RUNS_AT_ONCE, async (accepted) => {
    collected.push(await evidenceOf(api, accepted));
  });
  return collected;
}

async function evidenceOf(api: ChaosApi, accepted: AcceptedRun): Promise<RunEvidence> {
  const path = `/runs/${accepted.id}`;
  const [run, steps, artifacts, events, logs] = await Promise.all([
    api.get<RunDetail>(`${path}?project=default`),
    api.get<{ items: StepRun[] }>(`${path}/steps?project=default&limit=500`),
    api.get<{ items: ArtifactVersion[] }>(`/artifacts?project=default&run=${accepted.id}&limit=500`),
    api.get<{ items: RunEvent[] }>(`${path}/events?project=default&limit=500`),
    api.text(`${path}/logs?project=default`, "application/x-ndjson"),
  ]);
  const outputs = [];
  for (const artifact of artifacts.items) outputs.push(await download(api, artifact));
  return { accepted, run, steps: steps.items, outputs, events: events.items, logs: attemptLogs(logs) };
}

async function download(api: ChaosApi, artifact: ArtifactVersion): Promise<RunEvidence["outputs"][number]> {
  const { pipeline, step, name, version, item, stepRun } = artifact;
  const query = `project=default${item === "" ? "" : `&item=${encodeURIComponent(item)}`}`;
  const bytes = await api.text(`/artifacts/${pipeline}/${step}/${name}/${version}/content?${query}`);
  return { stepRun, name, digest: createHash("sha256").update(bytes).digest("hex") };
}

/** Puts the chunks of each attempt's standard output together by their offsets. */
export function attemptLogs(lines: string): AttemptLog[] {
  const chunks = lines
    .split("\n")
    .filter((line) => line !== "")
    .map((line) => JSON.parse(line) as LogLine)
    .filter(({ stream }) => stream === "stdout");
  const byAttempt = Map.groupBy(chunks, ({ stepRun, attempt, epoch }) => `${stepRun} ${attempt} ${epoch}`);
  return [...byAttempt.values()].map(joined);
}

function joined(chunks: readonly LogLine[]): AttemptLog {
  let end = 0;
  let breaks = 0;
  const parts: Buffer[] = [];
  for (const { offset, data } of chunks.toSorted((left, right) => left.offset - right.offset)) {
    const bytes = Buffer.from(data, "base64");
    if (offset !== end) breaks += 1;
    end = offset + bytes.length;
    parts.push(bytes);
  }
  const { stepRun, attempt, epoch } = chunks[0]!;
  return { stepRun, attempt, epoch, breaks, text: Buffer.concat(parts).toString("utf8") };
}
