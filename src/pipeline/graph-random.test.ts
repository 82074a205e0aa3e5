import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import type { StepPlan } from "../protocol/plan.ts";
import { RunGraph } from "./graph.ts";
import { type Consequence, initialStepRuns, type StepRunSpec } from "./step-runs.ts";
import { step } from "./testing/step-plan.ts";

/** Random plans: needs point upwards, so there is no cycle; matrices and batches in any place. */
const randomSteps = fc
  .array(
    fc.record({
      needs: fc.array(fc.nat(), { maxLength: 4 }),
      combinations: fc.nat(3),
      parallel: fc.option(fc.integer({ min: 1, max: 3 })),
      allowFailure: fc.boolean(),
      isDecided: fc.boolean(),
      failFast: fc.option(fc.boolean()),
    }),
    { minLength: 1, maxLength: 25 },
  )
  .map((shapes) =>
    shapes.map(({ needs, combinations, parallel, isDecided, ...more }, index) => {
      const names = index === 0 ? [] : [...new Set(needs.map((need) => `s${need % index}`))];
      const matrix = combinations === 0 ? null : Array.from({ length: combinations }, (_, x) => ({ x }));
      // Of every other need only the state counts.
      const decidedBy = names.filter((_, place) => place % 2 === 0);
      return step(`s${index}`, {
        ...more,
        ...{ needs: names, matrix },
        ...(isDecided ? { decidedBy } : {}),
        ...(parallel === null ? {} : { parallel }),
      });
    }),
  );

interface Played {
  readonly started: string[];
  /** Every end, whoever reported it. */
  readonly ended: Map<string, string>;
}

/** Drives a graph to its end with random choices, checking every promise on the way. */
function play(graph: RunGraph, steps: readonly StepPlan[], choose: (max: number) => number, played: Played): void {
  const byName = new Map(steps.map((each) => [each.name, each]));
  const running: StepRunSpec[] = [];
  const active = new Map<string, number>();
  const succeededRuns = (name: string) =>
    [...played.ended].filter(([key, state]) => key.split("[")[0] === name && state === "succeeded");
  const endedRuns = (name: string) => [...played.ended].filter(([key]) => key.split("[")[0] === name);
  const note = (consequences: readonly Consequence[]) => {
    for (const { stepRun, state } of consequences) {
      assert.equal(played.ended.has(stepRun.key), false, `${stepRun.key} ended twice`);
      played.ended.set(stepRun.key, state);
    }
  };
  note(graph.restored);
  while (!graph.isDone) {
    const taken = graph.ready(choose(3) + (running.length === 0 ? 1 : 0));
    assert.ok(taken.length + running.length > 0, "nothing runs, nothing is ready, and it is not done");
    for (const spec of taken) {
      const plan = byName.get(spec.step)!;
      for (const need of plan.needs) {
        const needed = byName.get(need)!;
        const expected = Math.max(1, needed.matrix?.length ?? 1);
        const isEnough = plan.when?.steps.includes(need) || needed.allowFailure ? endedRuns(need) : succeededRuns(need);
        const wholes = isEnough.filter(([key]) => graph.producers(need).length === 0 || !/\[\d+\]$/.test(key));
        assert.ok(wholes.length >= expected, `${spec.key} was ready before ${need} was done`);
      }
      if (plan.when !== null && spec.item === null && choose(3) === 0) {
        played.ended.set(spec.key, "skipped");
        note(graph.settle(spec.key, "skipped", true));
        continue;
      }
      assert.equal(played.started.includes(spec.key), false, `${spec.key} started twice`);
      played.started.push(spec.key);
      if (spec.isBatch) {
        note(graph.expand(spec.key, choose(4)).consequences);
        continue;
      }
      if (spec.parent !== null) {
        active.set(spec.step, (active.get(spec.step) ?? 0) + 1);
        assert.ok(active.get(spec.step)! <= byName.get(spec.step)!.batch!.parallel, "more items than the limit");
      }
      running.push(spec);
    }
    if (running.length === 0) continue;
    const [spec] = running.splice(choose(running.length - 1), 1);
    if (spec!.parent !== null) active.set(spec!.step, active.get(spec!.step)! - 1);
    const state = choose(9) === 0 ? "failed" : "succeeded";
    assert.equal(played.ended.has(spec!.key), false);
    played.ended.set(spec!.key, state);
    note(graph.settle(spec!.key, state));
    for (const { key, step: sibling, parent } of graph.stoppedBy(spec!.key)) {
      const index = running.findIndex((one) => one.key === key);
      // A batch that was handed out and is being split is none of the running ones.
      if (index < 0) continue;
      running.splice(index, 1);
      if (parent !== null) active.set(sibling, active.get(sibling)! - 1);
      played.ended.set(key, "cancelled");
      note(graph.settle(key, "cancelled"));
    }
  }
}

test("in any graph and any order of ends, each step run starts at most once, after all it needs, and ends once", () => {
  fc.assert(
    fc.property(randomSteps, fc.infiniteStream(fc.nat()), (steps, random) => {
      const choose = (max: number) => (random.next().value as number) % (max + 1);
      const graph = new RunGraph({ steps });
      const played: Played = { started: [], ended: new Map() };
      play(graph, steps, choose, played);
      const mayFail = new Set(steps.filter(({ allowFailure }) => allowFailure).map(({ name }) => name));
      const failed = [...played.ended].filter(([, state]) => state === "failed").map(([key]) => key.split("[")[0]!);
      assert.equal(graph.outcome, failed.every((name) => mayFail.has(name)) ? "succeeded" : "failed");
      for (const { key } of initialStepRuns({ steps })) assert.ok(played.ended.has(key), `${key} never ended`);
    }),
    { numRuns: 300 },
  );
});

test("a run taken over in any state ends as it would have: nothing is lost and nothing that ended starts again", () => {
  fc.assert(
    fc.property(randomSteps, fc.infiniteStream(fc.nat()), fc.nat(60), (steps, random, moves) => {
      const choose = (max: number) => (random.next().value as number) % (max + 1);
      const before = new RunGraph({ steps });
      const known = new Map<string, { state: "running" | "succeeded" | "failed" | "skipped"; items: number | null }>();
      const running: StepRunSpec[] = [];
      for (let move = 0; move < moves && !before.isDone; move++) {
        for (const spec of before.ready(2)) {
          known.set(spec.key, { state: "running", items: null });
          if (!spec.isBatch) running.push(spec);
          else if (choose(1) === 0) before.settle(spec.key, "succeeded");
          else {
            const count = choose(4);
            // What followed at once is not told: the agent died before it could.
            before.expand(spec.key, count);
            known.set(spec.key, { state: "running", items: count });
          }
          if (before.stateOf(spec.key) === "succeeded" && known.get(spec.key)!.items === null)
            known.get(spec.key)!.state = "succeeded";
        }
        if (running.length === 0) continue;
        const [spec] = running.splice(choose(running.length - 1), 1);
        const state = choose(9) === 0 ? "failed" : "succeeded";
        before.settle(spec!.key, state);
        known.get(spec!.key)!.state = state;
      }
      const prior = [...known]
        .map(([stepRun, { state, items }]) => ({ stepRun, state, items, byCondition: false }))
        .reverse();
      const after = new RunGraph({ steps }, prior);
      const ended = new Map(
        prior.filter(({ state }) => state !== "running").map(({ stepRun, state }) => [stepRun, state as string]),
      );
      const priorEnds = new Set(ended.keys());
      const played: Played = { started: [], ended };
      play(after, steps, choose, played);
      for (const key of played.started) assert.equal(priorEnds.has(key), false, `${key} had ended and started again`);
      for (const { key } of initialStepRuns({ steps })) assert.ok(ended.has(key), `${key} never ended`);
    }),
    { numRuns: 300 },
  );
});

/** Milliseconds of CPU to drive a layered graph of this many steps, each needing three, one of ten failing late. */
function timeToDrive(count: number): number {
  const steps = Array.from({ length: count }, (_, index) => {
    const needs = index < 50 ? [] : [`s${index - 50}`, `s${index - 49}`, `s${index - 37}`];
    return step(`s${index}`, { needs, ...(index % 10 === 0 ? { matrix: [{ x: 1 }, { x: 2 }] } : {}) });
  });
  const before = process.cpuUsage();
  const graph = new RunGraph({ steps });
  while (!graph.isDone) {
    for (const { key } of graph.ready(4)) {
      graph.readyAfter(key);
      graph.settle(key, "succeeded");
    }
  }
  return process.cpuUsage(before).user / 1000;
}

test("one graph of 50,000 steps takes about the time of 50 graphs of 1,000", () => {
  const fifty = () => Array.from({ length: 50 }, () => timeToDrive(1_000)).reduce((sum, time) => sum + time);
  fifty();
  const [small, large] = [Math.min(fifty(), fifty()), Math.min(timeToDrive(50_000), timeToDrive(50_000))];
  // A quadratic step anywhere would make it fifty times more; the rest is room for caches and garbage collection.
  assert.ok(large < 20 * small, `${large.toFixed(1)} ms for one of 50,000, ${small.toFixed(1)} ms for fifty of 1,000`);
});
