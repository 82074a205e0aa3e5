import { createHash } from "node:crypto";
import { batchItems } from "../../src/pipeline/step-runs.ts";
import type { EventsResponse } from "../../src/protocol/agent-api.ts";
import type { Content } from "../../src/protocol/artifacts.ts";
import { BerthError } from "../../src/protocol/errors.ts";
import type { AgentEvent } from "../../src/protocol/events.ts";
import type { Plan } from "../../src/protocol/plan.ts";
import { applyEvents, type Changes } from "../../src/server/scheduling/apply-events.ts";
import type { StepContracts } from "../../src/server/scheduling/step-contracts.ts";
import type { MemoryRun } from "./memory-run.ts";

export interface Recording {
  readonly worker: string;
  readonly nowMs: number;
  readonly blobs: Map<string, Buffer>;
  readonly outputsOf: (run: string, stepRun: string) => Readonly<Record<string, Content>>;
}

/** Takes a batch of events, all of what is new in it or nothing; see server/scheduling/record-events.ts. */
export function recordInMemory(
  run: MemoryRun,
  events: readonly AgentEvent[],
  recording: Recording,
): { readonly changed: MemoryRun; readonly answer: EventsResponse } {
  const fresh = newEvents(run, events);
  if (fresh.length === 0) return { changed: run, answer: { ackedSeq: run.agentSeq, cancel: run.cancelFacts } };
  if (run.isEnded) throw new BerthError("stale_epoch", `Epoch ${run.epoch} of ${run.id} is over.`);
  const contracts = contractsOf(run.plan);
  const changed = run.copy();
  const keys = new Set(fresh.flatMap(({ body }) => ("stepRun" in body ? [body.stepRun] : [])));
  const changes = applyEvents({
    runState: run.state,
    contracts,
    stepRuns: [...run.stepRuns.values()].filter(({ key }) => keys.has(key)),
    events: fresh,
    batchItems: (parent, count) => batchItems({ ...parent, isBatch: true }, count),
    time: (at) => at,
  });
  const inline = inlineOf(fresh);
  write(changed, changes, recording, new Map([...recording.blobs, ...inline]));
  check(changed, changes, contracts);
  for (const [digest, bytes] of inline) recording.blobs.set(digest, bytes);
  changed.append(...fresh.map(({ body }) => body));
  changed.agentSeq += fresh.length;
  if (changes.runEnd !== null) {
    Object.assign(changed, { ...changes.runEnd, finishedAtMs: recording.nowMs, leaseExpiresAtMs: null });
    changed.close(changes.runEnd.state);
  }
  const cancel = changes.runEnd === null ? run.cancelFacts : null;
  return { changed, answer: { ackedSeq: changed.agentSeq, cancel } };
}

function newEvents(run: MemoryRun, events: readonly AgentEvent[]): readonly AgentEvent[] {
  const fresh = events.filter(({ seq }) => seq > run.agentSeq);
  if (fresh.every(({ seq }, index) => seq === run.agentSeq + 1 + index)) return fresh;
  throw new BerthError("sequence_gap", `Event ${run.agentSeq + 1} was expected.`, {
    details: { expected: run.agentSeq + 1 },
  });
}

function inlineOf(events: readonly AgentEvent[]): Map<string, Buffer> {
  const outputs = events.flatMap(({ body }) => (body.type === "attempt.finished" ? body.outputs : []));
  const inline = new Map<string, Buffer>();
  for (const { content, inline: base64 } of outputs) {
    if (base64 === undefined) continue;
    const bytes = Buffer.from(base64, "base64");
    const digest = createHash("sha256").update(bytes).digest("hex");
    if (digest !== content.digest) throw new BerthError("digest_mismatch", `The bytes have SHA-256 ${digest}.`);
    inline.set(digest, bytes);
  }
  return inline;
}

function write(run: MemoryRun, changes: Changes, recording: Recording, blobs: ReadonlyMap<string, Buffer>): void {
  const stepRuns = new Map(run.stepRuns);
  for (const row of changes.newStepRuns) stepRuns.set(row.key, row);
  for (const { from: _, ...row } of changes.changedStepRuns) {
    const { cache } = run.stepRuns.get(row.key)!;
    stepRuns.set(row.key, { ...row, ...(row.cache === undefined && cache !== undefined ? { cache } : {}) });
  }
  run.stepRuns = stepRuns;
  const attempts = run.attempts.map((attempt) => {
    const end = changes.endedAttempts.find((one) => one.stepRun === attempt.stepRun && one.attempt === attempt.attempt);
    return end === undefined ? attempt : { ...attempt, state: end.state, fault: end.fault };
  });
  const begun = changes.newAttempts.map(({ stepRun, attempt, timeoutMs, end }) => ({
    ...{ stepRun, attempt, timeoutMs, epoch: run.epoch, worker: recording.worker, startedAtMs: recording.nowMs },
    ...{ state: end?.state ?? ("running" as const), fault: end?.fault ?? null },
  }));
  run.attempts = [...attempts, ...begun];
  run.takenFrom = new Map([
    ...run.takenFrom,
    ...changes.cached.map(({ stepRun, from }) => [stepRun.key, from] as const),
  ]);
  const versions = changes.commits.flatMap(({ stepRun, attempt, outputs }) =>
    outputs.map(({ name, content }) => ({ stepRun: stepRun.key, name, attempt, content })),
  );
  const missing = versions.map(({ content }) => content.digest).filter((digest) => !blobs.has(digest));
  if (missing.length > 0) throw new BerthError("missing_blobs", "Blobs are missing.", { details: { missing } });
  run.versions = [...run.versions, ...versions];
  for (const { inputs, stepRun } of changes.commits) {
    for (const { stepRun: producer, artifact, digest } of inputs) {
      const made = run.takenFrom.has(producer)
        ? recording.outputsOf(run.takenFrom.get(producer)!, producer)
        : run.outputsOf(producer);
      if (made[artifact]?.digest !== digest) throw conflict(`${stepRun.key} read ${producer}, which is not committed`);
    }
  }
}

function check(run: MemoryRun, changes: Changes, contracts: StepContracts): void {
  const rows = [...run.stepRuns.values()];
  const open = rows.filter(
    ({ parent, state }) => changes.closedBatches.includes(parent ?? "") && state !== "succeeded",
  );
  if (open.length > 0)
    throw conflict(`a batch cannot have succeeded: ${open.map(({ key }) => key).join(", ")} did not`);
  if (changes.runEnd?.state !== "succeeded") return;
  const bad = rows.filter(({ state, fault, step }) => {
    if (state === "succeeded" || (state === "skipped" && fault?.code === "condition")) return false;
    return !(contracts.get(step)?.mayFail && ["failed", "skipped", "cancelled"].includes(state));
  });
  if (bad.length > 0) throw conflict(`the run cannot have succeeded: ${bad.map(({ key }) => key).join(", ")} did not`);
}

function conflict(why: string): BerthError {
  return new BerthError("conflict", why);
}

function contractsOf({ steps, retention }: Plan): StepContracts {
  return new Map(
    steps.map(({ name, batch, allowFailure, outputs }) => [
      name,
      {
        isBatch: batch !== null,
        mayFail: allowFailure,
        outputs: new Map(Object.entries(outputs)),
        retention: retention ?? null,
      },
    ]),
  );
}
