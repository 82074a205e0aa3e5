import assert from "node:assert/strict";
import type { AgentEventBody } from "../../src/protocol/events.ts";
import { fault } from "../../src/protocol/faults.ts";
import { inlineOutput, type LeasedRunDriver, started, submit, succeeded, takeRun } from "./run-fixture.ts";
import type { TestServer, TestWorker } from "./server.ts";

/** What is made from the same is read by one: `report` is the end of a diamond, and reads every item of a batch. */
export const DIAMOND = `
name: wine
params: { seed: { type: integer, default: 7 } }
environment: { image: busybox }
steps:
  prepare:
    run: prepare
    outputs: { train: { path: train.csv }, test: { path: test.txt } }
  train:
    run: train
    inputs: { train: prepare.train }
    outputs: { model: { path: model } }
  score:
    batch: { over: prepare.test, format: lines, size: 1 }
    run: score
    inputs: { model: train.model }
    outputs: { scores: { path: scores } }
  report:
    run: report
    inputs: { scores: score.scores, model: train.model }
    outputs: { summary: { path: summary.md } }
`;

/** Step runs that one request reports. */
const REPORTED_AT_ONCE = 200;

const train = inlineOutput("train", "a,b\n1,2\n");
const test = inlineOutput("test", "one\ntwo\n");
const model = inlineOutput("model", "a model");
const summary = inlineOutput("summary", "# Wine\n");
const score = (item: number) => inlineOutput("scores", `score ${item}`);

async function reported(run: LeasedRunDriver, ...events: AgentEventBody[]): Promise<void> {
  const answer = await run.report(...events);
  assert.equal(answer.statusCode, 200, answer.body);
}

/** Drives a run of DIAMOND to its end, or to before `report`, which then fails. */
export async function runDiamond(
  server: TestServer,
  worker: TestWorker,
  { items = 2, fails = false }: { readonly items?: number; readonly fails?: boolean } = {},
): Promise<string> {
  const { id } = await submit(server, { pipeline: DIAMOND });
  const run = await takeRun(worker);
  const digestOf = ({ content }: typeof train) => content.digest;
  const read = { name: "train", stepRun: "prepare", artifact: "train", digest: digestOf(train) };
  const modelRead = { name: "model", stepRun: "train", artifact: "model", digest: digestOf(model) };
  await reported(
    run,
    { type: "run.started", backend: "process" },
    started("prepare"),
    succeeded("prepare", [train, test]),
    started("train"),
    succeeded("train", [model], [read]),
    { type: "step.expanded", stepRun: "score", items },
  );
  const batch = { name: "batch", stepRun: "prepare", artifact: "test", digest: digestOf(test) };
  for (let start = 0; start < items; start += REPORTED_AT_ONCE) {
    const numbers = Array.from({ length: Math.min(REPORTED_AT_ONCE, items - start) }, (_, index) => start + index);
    const events = numbers.flatMap((item) => [
      started(`score[${item}]`),
      succeeded(`score[${item}]`, [score(item)], [modelRead, batch]),
    ]);
    await reported(run, ...events);
  }
  await reported(run, { type: "step.finished", stepRun: "score", state: "succeeded", fault: null });
  await finishDiamond(run, items, fails);
  return id;
}

/** The end of a run whose other steps have succeeded, in this run or in the one that it restarts. */
export async function finishDiamond(run: LeasedRunDriver, items: number, fails = false): Promise<void> {
  const scores = Array.from({ length: items }, (_, item) => ({
    ...{ name: "scores", stepRun: `score[${item}]`, artifact: "scores", digest: score(item).content.digest },
  }));
  const modelRead = { name: "model", stepRun: "train", artifact: "model", digest: model.content.digest };
  const why = fails ? fault("exit-nonzero", "exit 1") : null;
  await reported(
    run,
    started("report"),
    fails
      ? succeeded("report", [], [], { state: "failed", stepState: "failed", exitCode: 1, fault: why })
      : succeeded("report", [summary], [...scores, modelRead]),
    { type: "run.finished", state: fails ? "failed" : "succeeded", fault: why },
  );
}
