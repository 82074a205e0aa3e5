import assert from "node:assert/strict";
import { test } from "node:test";
import type { AgentEventBody, RunEvent, ServerEventBody } from "../../protocol/events.ts";
import { fault } from "../../protocol/faults.ts";
import type { LiveMessage } from "../../protocol/messages.ts";
import { createStyle } from "../terminal/style.ts";
import { eventLine } from "./event-line.ts";
import { plainProgress } from "./progress.ts";
import { renderProgress } from "./progress-table.ts";
import { applyEvent, applyMessage, createRunView, type RunView, type StepRunSeed } from "./run-view.ts";

const START_MS = Date.parse("2026-01-01T00:00:00Z");

function seed(key: string, more: Partial<StepRunSeed> = {}): StepRunSeed {
  return {
    key,
    step: key,
    matrix: null,
    item: null,
    parent: null,
    items: null,
    state: "pending",
    startedAt: null,
    finishedAt: null,
    fault: null,
    ...more,
  };
}

/** A view and a way to let events happen, a second apart. */
function story(...seeds: StepRunSeed[]) {
  const view = createRunView("queued", seeds);
  let seq = 0;
  const lines: string[] = [];
  const happen = (body: AgentEventBody | ServerEventBody) => {
    seq++;
    const event: RunEvent = { seq, at: new Date(START_MS + seq * 1000).toISOString(), body };
    applyEvent(view, event);
    lines.push(eventLine(event, view) ?? "(nothing)");
  };
  return { view, lines, happen };
}

function finished(stepRun: string, state: "succeeded" | "failed" = "succeeded"): AgentEventBody {
  return {
    type: "attempt.finished",
    stepRun,
    attempt: 1,
    state,
    stepState: state,
    exitCode: state === "succeeded" ? 0 : 3,
    signal: null,
    fault: state === "succeeded" ? null : fault("exit-nonzero", "The command exited with 3."),
    phases: { running: 400 },
    usage: {},
    outputs: [],
    inputs: [],
    warnings: [],
  };
}

function started(stepRun: string, attempt = 1): AgentEventBody {
  return { type: "attempt.started", stepRun, attempt, backend: "process", object: "b234" };
}

function render(view: RunView, more: { columns?: number; maxLines?: number } = {}): string[] {
  const { columns = 100, maxLines = 30 } = more;
  return renderProgress(view, { nowMs: START_MS + 10_000, columns, maxLines, style: createStyle(false) });
}

test("a run is shown by step, combination and batch, with states and durations", () => {
  const { view, happen } = story(
    seed("prepare"),
    seed("train[model=knn]", { step: "train", matrix: { model: "knn" } }),
    seed("score"),
    seed("report"),
  );
  happen({ type: "run.leased", worker: "wrk_1", workerName: "local", epoch: 1 });
  happen({ type: "run.started", backend: "docker" });
  happen(started("prepare"));
  happen(finished("prepare"));
  happen(started("train[model=knn]"));
  happen({ type: "step.expanded", stepRun: "score", items: 4 });
  happen(started("score[0]"));
  happen(finished("score[0]"));
  happen(started("score[1]"));
  assert.deepEqual(render(view), [
    "✓ prepare          1.0 s",
    "⠋ train model=knn  5.0 s",
    "⠋ score            █████░░░░░░░░░░░░░░░ 1/4 1 running  4.0 s",
    "· report",
  ]);
});

test("a second attempt, a failure and a skipped step are told apart", () => {
  const { view, happen } = story(seed("fetch"), seed("use"));
  happen(started("fetch"));
  happen({ ...finished("fetch", "failed"), stepState: null } as AgentEventBody);
  happen(started("fetch", 2));
  assert.match(render(view)[0]!, /^⠋ fetch .*attempt 2$/);
  happen(finished("fetch", "failed"));
  happen({ type: "step.finished", stepRun: "use", state: "skipped", fault: fault("upstream-failed", "fetch failed.") });
  assert.match(render(view)[0]!, /^✗ fetch/);
  assert.match(render(view)[1]!, /^– use .*skipped$/);
});

test("an event that was seen before changes nothing", () => {
  const { view, happen } = story(seed("only"));
  happen(started("only"));
  happen(finished("only"));
  applyEvent(view, { seq: 1, at: new Date(START_MS).toISOString(), body: started("only") });
  assert.equal(view.rows.get("only")!.state, "succeeded");
});

test("a run that its worker lost goes back to waiting", () => {
  const { view, happen } = story(seed("only"));
  happen({ type: "run.leased", worker: "wrk_1", workerName: "local", epoch: 1 });
  happen({ type: "run.started", backend: "docker" });
  happen({ type: "run.released", epoch: 1, reason: "the worker did not answer" });
  assert.equal(view.state, "queued");
  assert.equal(view.worker, null);
});

test("with few lines to draw on, what goes on is kept and what is over is left out", () => {
  const { view, happen } = story(...Array.from({ length: 20 }, (_, index) => seed(`step${index}`)));
  happen(started("step13"));
  const lines = render(view, { maxLines: 5 });
  assert.equal(lines.length, 5);
  assert.ok(lines.some((line) => line.includes("step13")));
  assert.match(lines.at(-1)!, /… and 16 more/);
});

test("a batch that is picked up in the middle counts what had ended before", () => {
  const view = createRunView("running", [
    seed("score", { state: "running", items: 3 }),
    seed("score[0]", { step: "score", item: 0, parent: "score", state: "succeeded" }),
    seed("score[1]", { step: "score", item: 1, parent: "score", state: "failed" }),
  ]);
  assert.match(render(view)[0]!, /2\/3 1 failed/);
});

test("names from elsewhere cannot act on the terminal", () => {
  const view = createRunView("running", [seed("x", { matrix: { a: "\u001b[2Jgone\u0007" } })]);
  assert.doesNotMatch(render(view).join(""), /\p{Cc}/u);
});

test("each change is one plain line", () => {
  const { lines, happen } = story(seed("fetch"), seed("use"));
  happen({ type: "run.created", by: "me" });
  happen({ type: "run.leased", worker: "wrk_1", workerName: "local", epoch: 1 });
  happen({
    type: "image.ready",
    environment: "default",
    image: "berth/env:1",
    digest: null,
    cached: false,
    durationMs: 2500,
  });
  happen(started("fetch"));
  happen(finished("fetch", "failed"));
  happen({ type: "step.finished", stepRun: "use", state: "skipped", fault: fault("upstream-failed", "fetch failed.") });
  assert.deepEqual(lines, [
    "(nothing)",
    "run taken by worker local",
    "image of environment default ready after 2.5 s (berth/env:1)",
    "fetch started",
    "fetch failed (0.4 s): The command exited with 3.",
    "use skipped: fetch failed.",
  ]);
});

function said(stepRun: string, done: number | null, message: string | null = null, attempt = 1): LiveMessage {
  const progress = { done, total: 10, message, at: "2026-01-01T00:00:00Z" };
  return { type: "attempt.progress", stepRun, attempt, progress };
}

test("a running step shows how far it is by its own account, until it ends or is tried again", () => {
  const { view, happen } = story(seed("train"), seed("other"));
  happen(started("train"));
  applyMessage(view, said("train", 3, "epoch\u001b[2J 3"));
  applyMessage(view, said("nobody", 3));
  assert.match(render(view)[0]!, /train +██████░{14} 3\/10 +.* epoch 3$/);
  applyMessage(view, said("train", 400));
  assert.match(render(view)[0]!, /█{20} 400\/10/);
  applyMessage(view, said("train", -5, null, 0));
  assert.match(render(view)[0]!, /400\/10/, "an earlier attempt says nothing any more");
  happen(finished("train", "succeeded"));
  applyMessage(view, said("train", 9));
  assert.doesNotMatch(render(view)[0]!, /10/);
});

test("in a file, how far a step is stands in a line now and then, and structured logs are readable", () => {
  const lines: string[] = [];
  let nowMs = 0;
  using progress = plainProgress(
    (line) => lines.push(line),
    () => nowMs,
  );
  for (nowMs = 0; nowMs < 25_000; nowMs += 1_000) progress.said(said("train", nowMs / 1_000, "on"));
  const place = { attempt: 1, epoch: 1, stream: "stderr", offset: 0, at: "" } as const;
  progress.log({ ...place, stepRun: "train", text: '\u001e{"level":"warn","message":"slow","fields":{"s":3}}' });
  assert.deepEqual(lines, ["train 0/10 on", "train 10/10 on", "train 20/10 on", "train | WARN slow s=3"]);
});
