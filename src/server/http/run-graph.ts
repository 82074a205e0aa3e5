import { type GraphStep, RunGraphView, stateOfStep } from "../../protocol/run-graph.ts";
import type { StepState } from "../../protocol/states.ts";
import type { Services } from "../services.ts";
import { groupStepRuns, type PlannedStep, plannedSteps, type StepRunGroup } from "../store/run-graph.ts";
import { runState } from "../store/runs.ts";
import { defineRoute, type Route } from "./route.ts";
import { RunParams, runIdOf } from "./run-reference.ts";

export function runGraphRoute({ database }: Services): Route {
  return defineRoute({
    method: "GET",
    path: "/runs/:run/graph",
    access: { kind: "role", role: "viewer" },
    summary: "A run as a graph of its steps; combinations and items are counted",
    tag: "runs",
    schemas: { params: RunParams, response: RunGraphView },
    handler: async ({ params, project }) => {
      const id = await runIdOf(database.pool, project, params.run);
      const state = (await runState(database.pool, project, id))!;
      const groups = Map.groupBy(await groupStepRuns(database.pool, id), ({ step }) => step);
      const steps = await plannedSteps(database.pool, id);
      const places = new Map(steps.map(({ name }, place) => [name, place]));
      return { id, state, steps: steps.map((step) => graphStep(step, groups.get(step.name) ?? [], places)) };
    },
  });
}

function graphStep(
  { name, needs, when, matrix, batch, phase, action, allowFailure }: PlannedStep,
  groups: readonly StepRunGroup[],
  places: ReadonlyMap<string, number>,
): GraphStep {
  const kind = batch !== null ? "batch" : matrix !== null ? "matrix" : "step";
  const waitsFor = new Set([...needs, ...(when?.steps ?? [])]);
  const wholes = groups.filter(({ isWhole }) => isWhole);
  const state = stateOfStep(new Set(wholes.map((group) => group.state)));
  const startedAt = timesOf(groups, "startedAt")[0];
  const finishedAt = timesOf(groups, "finishedAt").at(-1);
  return {
    ...{ name, kind, action, state },
    ...(phase !== "main" && { phase }),
    needs: [...waitsFor].map((need) => places.get(need)!),
    ...(kind !== "step" && { counts: countsOf(groups) }),
    ...(allowFailure && { mayFail: true as const }),
    ...(startedAt !== undefined && { startedAt }),
    ...(finishedAt !== undefined && state !== "pending" && state !== "running" && { finishedAt }),
  };
}

function countsOf(groups: readonly StepRunGroup[]): Partial<Record<StepState, number>> {
  const counts: Partial<Record<StepState, number>> = {};
  for (const { state, isLeaf, count } of groups) if (isLeaf) counts[state] = (counts[state] ?? 0) + count;
  return counts;
}

/** ISO 8601, the earliest first. */
function timesOf(groups: readonly StepRunGroup[], of: "startedAt" | "finishedAt"): string[] {
  return groups.flatMap((group) => group[of]?.toISOString() ?? []).sort();
}
