import type { StepRunIdentity } from "../../pipeline/step-runs.ts";
import type { ConsumedInput, ProducedOutput } from "../../protocol/artifacts.ts";
import { BerthError } from "../../protocol/errors.ts";
import { type AgentEvent, type AgentEventBody, type FixedImage, fixedImage } from "../../protocol/events.ts";
import type { Fault } from "../../protocol/faults.ts";
import {
  ATTEMPT_TRANSITIONS,
  canChange,
  RUN_TRANSITIONS,
  type RunState,
  STEP_TRANSITIONS,
  type StepState,
} from "../../protocol/states.ts";
import type { AttemptEnd, AttemptRow } from "../store/attempts.ts";
import type { StepRunRow } from "../store/step-runs.ts";
import { checkOutputs } from "./check-outputs.ts";
import type { StepContracts } from "./step-contracts.ts";

/** A step run's outputs that become visible. */
export interface Commit {
  readonly stepRun: StepRunIdentity;
  readonly attempt: number;
  readonly outputs: readonly ProducedOutput[];
  readonly inputs: readonly ConsumedInput[];
}

/** Everything that a batch of events changes, ready to be written set by set. */
export interface Changes {
  readonly newStepRuns: readonly StepRunRow[];
  readonly changedStepRuns: readonly (StepRunRow & { readonly from: StepState })[];
  readonly newAttempts: readonly AttemptRow[];
  readonly endedAttempts: readonly (AttemptEnd & { readonly stepRun: string; readonly attempt: number })[];
  readonly commits: readonly Commit[];
  /** Step runs whose result another run made. */
  readonly cached: readonly {
    readonly stepRun: StepRunIdentity;
    readonly from: string;
    readonly outputs: readonly string[];
  }[];
  /** Batches reported as succeeded: true only if every item is. */
  readonly closedBatches: readonly string[];
  /** What environments stand for from here on, by name. */
  readonly images: Readonly<Record<string, FixedImage>>;
  readonly runEnd: { readonly state: RunState; readonly fault: Fault | null } | null;
}

export interface ApplyInput {
  readonly runState: RunState;
  readonly contracts: StepContracts;
  /** The step runs that the events name, as the database has them. */
  readonly stepRuns: readonly StepRunRow[];
  readonly events: readonly AgentEvent[];
  readonly batchItems: (parent: StepRunIdentity, count: number) => readonly StepRunIdentity[];
  /** The time to show for an event. */
  readonly time: (at: string) => string;
}

/** Works on copies: the rows of `input` stay as they are, so that the difference can be told at the end. */
interface Draft {
  readonly input: ApplyInput;
  readonly stepRuns: Map<string, StepRunRow>;
  /** By attemptKey. */
  readonly newAttempts: Map<string, AttemptRow>;
  readonly endedAttempts: Changes["endedAttempts"][number][];
  readonly commits: Commit[];
  readonly cached: Changes["cached"][number][];
  readonly closedBatches: string[];
  readonly images: Record<string, FixedImage>;
  runEnd: Changes["runEnd"];
}

/** One event while it is applied. */
interface Report<T extends AgentEventBody["type"]> {
  readonly body: Extract<AgentEventBody, { type: T }>;
  readonly now: string;
  readonly refuse: (why: string) => never;
}

/**
 * Works out what an agent's events change, event by event, against the transition tables; pure. Throws `conflict` at the
 * first event that cannot be true, and then nothing of the batch is written.
 */
export function applyEvents(input: ApplyInput): Changes {
  const draft: Draft = {
    input,
    stepRuns: new Map(input.stepRuns.map((row) => [row.key, row])),
    newAttempts: new Map(),
    endedAttempts: [],
    commits: [],
    cached: [],
    closedBatches: [],
    images: {},
    runEnd: null,
  };
  for (const event of input.events) applyEvent(draft, event);
  return changesOf(draft);
}

function applyEvent(draft: Draft, { seq, at, body }: AgentEvent): void {
  const now = draft.input.time(at);
  const refuse = (why: string): never => {
    throw impossible(seq, body, why);
  };
  if (draft.runEnd !== null) refuse("the run was reported as finished before it");
  switch (body.type) {
    case "run.started":
      break; // For those who follow the run; nothing changes.
    case "image.ready":
      draft.images[body.environment] = fixedImage(body);
      break;
    case "step.expanded":
      expandBatch(draft, { body, now, refuse });
      break;
    case "attempt.started":
      startAttempt(draft, { body, now, refuse });
      break;
    case "attempt.finished":
      finishAttempt(draft, { body, now, refuse });
      break;
    case "step.cached":
      takeCached(draft, { body, now, refuse });
      break;
    case "step.finished":
      finishStepRun(draft, { body, now, refuse });
      break;
    case "run.finished":
      finishRun(draft, { body, now, refuse });
      break;
  }
}

function expandBatch(draft: Draft, { body, now, refuse }: Report<"step.expanded">): void {
  const row = find(draft, body.stepRun, refuse);
  if (!isBatch(draft, row)) refuse("it is not a batch");
  if (row.state !== "pending" && row.state !== "running") refuse(`the batch is ${row.state}`);
  // After a hand-over the next agent may split the same input again: it comes to the same items.
  if (row.items !== null && row.items !== body.items) refuse(`the batch was split into ${row.items} items before`);
  draft.stepRuns.set(row.key, { ...row, state: "running", items: body.items, startedAt: row.startedAt ?? now });
  if (row.items !== null) return;
  for (const item of draft.input.batchItems(row, body.items)) draft.stepRuns.set(item.key, pendingStepRun(item));
}

function startAttempt(draft: Draft, { body, now, refuse }: Report<"attempt.started">): void {
  const row = find(draft, body.stepRun, refuse);
  if (isBatch(draft, row)) refuse("a batch as a whole has no attempts, its items have");
  if (row.attemptState === "running") refuse(`attempt ${row.attempts} still runs`);
  if (body.attempt !== row.attempts + 1) refuse(`its next attempt is ${row.attempts + 1}`);
  if (row.state !== "running" && !canChange(STEP_TRANSITIONS, row.state, "running")) refuse(`it is ${row.state}`);
  draft.stepRuns.set(row.key, {
    ...row,
    state: "running",
    attempts: body.attempt,
    attemptState: "running",
    startedAt: row.startedAt ?? now,
    ...(body.cache === undefined ? {} : { cache: body.cache }),
  });
  const { stepRun, attempt, backend, object, timeoutMs = null, image = null, memoryBytes = null, runEnd = null } = body;
  const waited = body.waited ?? null;
  draft.newAttempts.set(attemptKey(body), {
    ...{ stepRun, attempt, backend, object, timeoutMs, image, memoryBytes, runEnd, waited },
    ...{ startedAt: now, end: null },
  });
}

function finishAttempt(draft: Draft, report: Report<"attempt.finished">): void {
  const { body, now, refuse } = report;
  const row = find(draft, body.stepRun, refuse);
  checkAttemptEnd(row, report);

  const { state, exitCode, signal, phases, usage, warnings } = body;
  const end: AttemptEnd = { state, exitCode, signal, fault: body.fault, phases, usage, warnings, finishedAt: now };
  const begun = draft.newAttempts.get(attemptKey(body));
  if (begun === undefined) draft.endedAttempts.push({ ...end, stepRun: body.stepRun, attempt: body.attempt });
  else draft.newAttempts.set(attemptKey(body), { ...begun, end });
  // Another attempt follows: what this one left behind is replaced by that one's and never becomes visible.
  if (body.stepState === null) {
    draft.stepRuns.set(row.key, { ...row, attemptState: state });
    return;
  }
  draft.stepRuns.set(row.key, {
    ...row,
    attemptState: state,
    state: body.stepState,
    fault: body.fault,
    finishedAt: now,
  });
  checkOutputs(draft.input.contracts.get(row.step) ?? refuse("its step is not in the plan"), body, refuse);
  if (state === "succeeded" || body.outputs.length > 0) {
    draft.commits.push({ stepRun: row, attempt: body.attempt, outputs: body.outputs, inputs: body.inputs });
  }
}

/** Success needs positive evidence; every other end only needs to follow from where the attempt is. */
function checkAttemptEnd(row: StepRunRow, { body, refuse }: Report<"attempt.finished">): void {
  if (body.attempt !== row.attempts) refuse(`its newest attempt is ${row.attempts}`);
  if (row.attemptState === null || !canChange(ATTEMPT_TRANSITIONS, row.attemptState, body.state)) {
    refuse(`the attempt is ${row.attemptState}`);
  }
  if (body.stepState !== null && !canChange(STEP_TRANSITIONS, row.state, body.stepState)) refuse(`it is ${row.state}`);
  if ((body.state === "succeeded") !== (body.stepState === "succeeded")) {
    refuse("a step run succeeds by an attempt that succeeded, and only so");
  }
  if (body.state !== "succeeded") return;
  if (body.exitCode !== 0) refuse(`exit code ${body.exitCode} is not a success`);
  if (body.fault !== null) refuse("a success has no fault");
}

function takeCached(draft: Draft, { body, now, refuse }: Report<"step.cached">): void {
  const row = find(draft, body.stepRun, refuse);
  if (isBatch(draft, row)) refuse("a batch as a whole is not taken from the cache, its items are");
  if (row.attempts > 0 || row.state !== "pending") refuse(`it is ${row.state}, with ${row.attempts} attempts`);
  draft.stepRuns.set(row.key, { ...row, state: "succeeded", startedAt: now, finishedAt: now, cache: body.cache });
  const outputs = body.outputs.map(({ name }) => name);
  draft.cached.push({ stepRun: row, from: body.from.run, outputs });
}

function finishStepRun(draft: Draft, { body, now, refuse }: Report<"step.finished">): void {
  const row = find(draft, body.stepRun, refuse);
  if (row.attemptState === "running") refuse(`attempt ${row.attempts} still runs`);
  if (body.state === "succeeded" && (!isBatch(draft, row) || row.items === null)) {
    refuse("a step run succeeds by an attempt, or by the items that it was split into");
  }
  if (!canChange(STEP_TRANSITIONS, row.state, body.state)) refuse(`it is ${row.state}`);
  draft.stepRuns.set(row.key, { ...row, state: body.state, fault: body.fault, finishedAt: now });
  if (body.state === "succeeded") draft.closedBatches.push(row.key);
}

function finishRun(draft: Draft, { body, refuse }: Report<"run.finished">): void {
  const { runState } = draft.input;
  if (!canChange(RUN_TRANSITIONS, runState, body.state)) refuse(`the run is ${runState}`);
  if (body.state === "succeeded" && body.fault !== null) refuse("a success has no fault");
  draft.runEnd = { state: body.state, fault: body.fault };
}

function changesOf({ input, stepRuns, newAttempts, ...rest }: Draft): Changes {
  const before = new Map(input.stepRuns.map((row) => [row.key, row]));
  const newStepRuns: StepRunRow[] = [];
  const changedStepRuns: Changes["changedStepRuns"][number][] = [];
  for (const row of stepRuns.values()) {
    const original = before.get(row.key);
    if (original === undefined) newStepRuns.push(row);
    else if (original !== row) changedStepRuns.push({ ...row, from: original.state });
  }
  return { ...rest, newStepRuns, changedStepRuns, newAttempts: [...newAttempts.values()] };
}

function find(draft: Draft, key: string, refuse: (why: string) => never): StepRunRow {
  return draft.stepRuns.get(key) ?? refuse("there is no such step run");
}

function isBatch(draft: Draft, row: StepRunIdentity): boolean {
  return row.item === null && draft.input.contracts.get(row.step)?.isBatch === true;
}

function pendingStepRun({ key, step, position, matrix, item, parent }: StepRunIdentity): StepRunRow {
  const identity = { key, step, position, matrix, item, parent };
  const progress = { items: null, attempts: 0, fault: null, startedAt: null, finishedAt: null, attemptState: null };
  return { ...identity, ...progress, state: "pending" };
}

function attemptKey({ stepRun, attempt }: { readonly stepRun: string; readonly attempt: number }): string {
  return `${attempt} ${stepRun}`;
}

function impossible(seq: number, body: AgentEventBody, why: string): BerthError {
  const where = "stepRun" in body ? ` of ${body.stepRun}` : "";
  const attempt = "attempt" in body ? `, attempt ${body.attempt}` : "";
  return new BerthError("conflict", `Event ${seq}, ${body.type}${where}${attempt}, cannot be: ${why}.`, {
    advice: "This is a defect of the agent: nothing of the batch was written.",
    details: { seq },
  });
}
