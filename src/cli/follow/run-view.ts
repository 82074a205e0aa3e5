import type { RunEvent } from "../../protocol/events.ts";
import type { Fault } from "../../protocol/faults.ts";
import type { LiveMessage, Progress } from "../../protocol/messages.ts";
import { type Scalar, stepRunKey } from "../../protocol/names.ts";
import { isTerminal, type RunState, STEP_TRANSITIONS, type StepState } from "../../protocol/states.ts";

/** What the follower knows of a step run before the first event. */
export interface StepRunSeed {
  readonly key: string;
  readonly step: string;
  readonly matrix: Readonly<Record<string, Scalar>> | null;
  readonly item: number | null;
  readonly parent: string | null;
  readonly items: number | null;
  readonly state: StepState;
  readonly startedAt: string | null;
  readonly finishedAt: string | null;
  readonly fault: Fault | null;
  readonly mayFail?: boolean;
  readonly takenFrom?: { readonly number: number } | null;
  readonly attempts?: readonly { readonly warnings: readonly string[] }[];
}

/** One line of the progress table: a step run, or a batch with all its items. */
export interface Row {
  readonly key: string;
  readonly step: string;
  readonly matrix: Readonly<Record<string, Scalar>> | null;
  /** Whether the run may succeed although it fails. */
  readonly mayFail: boolean;
  state: StepState;
  /** Latest attempt, from 1; 0 before the first. */
  attempt: number;
  /** Null for what is no batch. */
  batch: { items: number; readonly running: Set<string>; readonly ended: Map<string, StepState> } | null;
  /** Milliseconds since 1970, by the clock of whoever reported it. */
  startedAtMs: number | null;
  finishedAtMs: number | null;
  fault: Fault | null;
  /** What its latest attempt said last of how far it is, while it runs. */
  progress: Progress | null;
  /** Number of the run that it was taken over from, where this one did not run it. */
  takenFrom: number | null;
}

/** A run as far as its events have told, the newest of which was `seq`. */
export interface RunView {
  state: RunState;
  seq: number;
  worker: string | null;
  backend: string | null;
  fault: Fault | null;
  readonly rows: Map<string, Row>;
  /** What the latest attempts of step runs that ended were warned of, by key. */
  readonly warnings: Map<string, readonly string[]>;
  /** Batch items by key: which row counts them. */
  readonly batchOf: Map<string, Row>;
}

export function createRunView(state: RunState, seeds: readonly StepRunSeed[]): RunView {
  const view: RunView = {
    state,
    seq: 0,
    worker: null,
    backend: null,
    fault: null,
    rows: new Map(),
    warnings: new Map(seeds.map(({ key, attempts = [] }) => [key, attempts.at(-1)?.warnings ?? []])),
    batchOf: new Map(),
  };
  for (const seed of seeds) {
    if (seed.parent !== null) continue;
    const row: Row = {
      key: seed.key,
      step: seed.step,
      matrix: seed.matrix,
      mayFail: seed.mayFail ?? false,
      state: seed.state,
      attempt: seed.attempts?.length ?? 0,
      batch: null,
      startedAtMs: seed.startedAt === null ? null : Date.parse(seed.startedAt),
      finishedAtMs: seed.finishedAt === null ? null : Date.parse(seed.finishedAt),
      fault: seed.fault,
      progress: null,
      takenFrom: seed.takenFrom?.number ?? null,
    };
    view.rows.set(seed.key, row);
    if (seed.items !== null) expand(view, row, seed.items);
  }
  for (const seed of seeds) {
    if (seed.parent !== null) setItemState(view, seed.key, seed.state);
  }
  return view;
}

/** Takes one event in. Events come in order; one that was seen already changes nothing. */
export function applyEvent(view: RunView, event: RunEvent): void {
  if (event.seq <= view.seq) return;
  view.seq = event.seq;
  const { body } = event;
  const atMs = Date.parse(event.at);
  switch (body.type) {
    case "run.created":
    case "run.held_back":
    case "run.admitted":
    case "image.ready":
      break;
    case "run.leased":
      view.worker = body.workerName;
      break;
    case "run.released":
      view.state = "queued";
      view.worker = null;
      for (const row of view.rows.values()) giveBack(row);
      break;
    case "run.cancel_requested":
      if (view.state !== "queued") view.state = "cancelling";
      break;
    case "run.started":
      if (view.state === "queued") view.state = "running";
      view.backend = body.backend;
      break;
    case "run.finished":
      view.state = body.state as RunState;
      view.fault = body.fault;
      break;
    case "step.expanded": {
      const row = view.rows.get(body.stepRun);
      if (row === undefined) break;
      start(row, atMs);
      expand(view, row, body.items);
      break;
    }
    case "step.cached": {
      const row = view.rows.get(body.stepRun);
      if (row !== undefined) row.takenFrom = body.from.number;
      finish(view, body.stepRun, "succeeded", null, atMs);
      break;
    }
    case "attempt.started": {
      setItemState(view, body.stepRun, "running");
      const row = view.rows.get(body.stepRun);
      if (row === undefined) break;
      start(row, atMs);
      if (body.attempt !== row.attempt) row.progress = null;
      row.attempt = body.attempt;
      break;
    }
    case "attempt.finished":
      view.warnings.set(body.stepRun, body.warnings);
      if (body.stepState !== null) finish(view, body.stepRun, body.stepState, body.fault, atMs);
      break;
    case "step.finished":
      finish(view, body.stepRun, body.state, body.fault, atMs);
      break;
  }
}

/** Takes in what a running step says: of a step run that has a row of its own, and of its latest attempt. */
export function applyMessage(view: RunView, message: LiveMessage): void {
  if (message.type !== "attempt.progress") return;
  const row = view.rows.get(message.stepRun);
  if (row === undefined || row.batch !== null || isTerminal(STEP_TRANSITIONS, row.state)) return;
  if (message.attempt >= row.attempt) row.progress = message.progress;
}

function start(row: Row, atMs: number): void {
  if (isTerminal(STEP_TRANSITIONS, row.state)) return;
  row.state = "running";
  row.startedAtMs ??= atMs;
}

/** What ran on a worker that is given up waits again. */
function giveBack(row: Row): void {
  if (row.state === "running") row.state = "pending";
  row.progress = null;
  row.batch?.running.clear();
}

function finish(view: RunView, key: string, state: StepState, fault: Fault | null, atMs: number): void {
  setItemState(view, key, state);
  const row = view.rows.get(key);
  if (row === undefined) return;
  row.state = state;
  row.finishedAtMs = atMs;
  row.fault = fault;
  row.progress = null;
}

function expand(view: RunView, row: Row, items: number): void {
  row.batch = { items, running: new Set(), ended: new Map() };
  for (let item = 0; item < items; item++) view.batchOf.set(stepRunKey(row.step, row.matrix, item), row);
}

function setItemState(view: RunView, key: string, state: StepState): void {
  const batch = view.batchOf.get(key)?.batch;
  if (!batch) return;
  batch.running.delete(key);
  if (state === "running") batch.running.add(key);
  else if (isTerminal(STEP_TRANSITIONS, state)) batch.ended.set(key, state);
}
