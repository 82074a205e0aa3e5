import { initialStepRuns } from "../../src/pipeline/step-runs.ts";
import type { Plan } from "../../src/protocol/plan.ts";
import type { RunView } from "./server-api.ts";

/**
 * What follows from the end of a step without an attempt, such as the split of a batch, is said after that end: whoever
 * takes the run over makes again what is not committed, perhaps otherwise. Returns what was said too early.
 */
export function saidTooEarly(plan: Plan, { events, stepRuns }: Pick<RunView, "events" | "stepRuns">): string[] {
  const specs = initialStepRuns(plan);
  const steps = new Map(plan.steps.map((step) => [step.name, step]));
  const stepOf = new Map(specs.map(({ key, step }) => [key, step]));
  for (const { key, parent } of stepRuns) if (parent !== null) stepOf.set(key, stepOf.get(parent)!);
  const ended = new Set<string>();
  const early: string[] = [];
  for (const { seq, body } of events) {
    if (!("stepRun" in body)) continue;
    if (follows(body)) {
      const needs = steps.get(stepOf.get(body.stepRun)!)!.needs;
      const open = specs.filter(({ key, step }) => needs.includes(step) && !ended.has(key)).map(({ key }) => key);
      if (open.length > 0)
        early.push(`event ${seq}, ${body.type} of ${body.stepRun}, before the end of ${open.join(", ")}`);
    }
    if (isEnd(body)) ended.add(body.stepRun);
  }
  return early;
}

type Body = RunView["events"][number]["body"];

function follows(body: Body): boolean {
  if (body.type === "step.finished") return body.fault?.code === "condition";
  return body.type === "step.expanded" || body.type === "step.cached";
}

function isEnd(body: Body): boolean {
  if (body.type === "attempt.finished") return body.stepState !== null;
  return body.type === "step.finished" || body.type === "step.cached";
}
