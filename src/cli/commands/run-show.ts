import type { Command } from "commander";
import type { RunDetail, StepRun } from "../../protocol/resources.ts";
import { listArtifactsOfRun } from "../api/artifacts.ts";
import { getRun, listMetrics, listStepRuns } from "../api/runs.ts";
import type { CliContext } from "../context.ts";
import { lookFurther } from "../follow/look-further.ts";
import { progressText } from "../follow/progress-table.ts";
import { createRunView } from "../follow/run-view.ts";
import { renderSummary, runName } from "../follow/summary.ts";
import { connect } from "../platform/connection.ts";
import { type WithServer, withServerOptions } from "../server-options.ts";
import { plainText } from "../terminal/plain-text.ts";

const RETRIED_SHOWN_MAX = 20;

type Options = WithServer<{ json?: boolean }>;

/** `berth runs show RUN`, and the same as `berth run show RUN`. */
export function defineRunShow(parent: Command, context: CliContext): void {
  withServerOptions(parent.command("show <run>"))
    .description("show one run: steps, artifacts, faults, why it waits")
    .option("--json", "print JSON")
    .addHelpText("after", "\nA run is named like wine#12, or by its id.\n\nExample:\n  berth run show wine#12")
    .action((run: string, options: Options) => showRun(context, run, options));
}

async function showRun(context: CliContext, reference: string, options: Options): Promise<void> {
  const { console } = context;
  const { api } = await connect(context, options);
  const run = await getRun(api, reference);
  const [steps, artifacts, metrics] = await Promise.all([
    listStepRuns(api, run.id),
    listArtifactsOfRun(api, run.id),
    listMetrics(api, run.id),
  ]);
  if (options.json) return console.out(JSON.stringify({ run, steps, artifacts, metrics }, null, 2));
  const view = createRunView(run.state, steps);
  const lines = renderSummary({ run, view, artifacts, metrics }, console.style);
  for (const line of [
    ...lines,
    startedLine(run),
    "",
    ...progressLines(steps),
    ...imageLines(run, steps),
    ...attemptLines(steps),
    ...waitingLines(run),
    ...lookFurther(runName(run), view, artifacts, console.style),
  ])
    console.out(line);
}

function startedLine({ startedBy, createdAt }: RunDetail): string {
  if (startedBy.kind === "person") return `  started by ${plainText(startedBy.name)} at ${createdAt}`;
  if (startedBy.kind === "trigger") {
    return `  started by trigger ${plainText(startedBy.name)}, message ${plainText(startedBy.delivery)}, at ${createdAt}`;
  }
  const how = startedBy.dueAt === null ? `at once, for ${plainText(startedBy.by ?? "")}` : `due at ${startedBy.dueAt}`;
  return `  started by schedule ${plainText(startedBy.name)}, ${how}`;
}

/** How far the steps are that run now, by their own account. */
function progressLines(steps: readonly StepRun[]): string[] {
  const running = steps.flatMap(({ key, state, attempts }) => {
    const progress = attempts.at(-1)?.progress ?? null;
    return state !== "running" || progress === null ? [] : [`  ${plainText(key)} is at ${progressText(progress)}`];
  });
  return running.length === 0 ? [] : [...running.slice(0, RETRIED_SHOWN_MAX), ""];
}

/** What each environment stands for in this run, and the steps that ran in it. */
function imageLines({ images }: RunDetail, steps: readonly StepRun[]): string[] {
  const lines = Object.entries(images).map(([environment, { id, digest, reference }]) => {
    const ran = steps.filter(({ attempts }) => attempts.some(({ image }) => image?.digest === digest));
    const names = [...new Set(ran.map(({ step }) => plainText(step)))].slice(0, RETRIED_SHOWN_MAX);
    const used = names.length === 0 ? "" : `, used by ${names.join(", ")}`;
    return `  image of ${plainText(environment)}: ${plainText(reference ?? id)}${used}`;
  });
  return lines.length === 0 ? [] : [...lines, ""];
}

/** Step runs of which an attempt went wrong that is not told by their own end, with how each attempt ended. */
function attemptLines(steps: readonly StepRun[]): string[] {
  const retried = steps.filter(
    ({ attempts, state }) =>
      attempts.length > 1 || (state !== "failed" && attempts.some((attempt) => attempt.fault !== null)),
  );
  const lines = retried.slice(0, RETRIED_SHOWN_MAX).map(({ key, attempts, state: stepState }) => {
    const ends = attempts.map(
      ({ attempt, state, fault }) =>
        `${attempt} ${state}${fault === null ? "" : ` (${fault.code}, blame: ${fault.blame})`}`,
    );
    const isOver = attempts.at(-1)!.fault === null || stepState !== "running";
    return `  attempts of ${plainText(key)}: ${ends.join(", ")}${isOver ? "" : ", and another follows"}`;
  });
  const more = retried.length - lines.length;
  return lines.length === 0 ? [] : [...lines, ...(more > 0 ? [`  … and of ${more} more`] : []), ""];
}

function waitingLines({ waiting }: RunDetail): string[] {
  if (waiting === null) return [];
  if (waiting.place !== null && waiting.possible) return [`  waiting: ${plainText(waiting.summary)}`, ""];
  const perWorker = waiting.workers.map(({ name, reasons }) => {
    const why = reasons.length === 0 ? "is about to take it" : reasons.map((reason) => reason.message).join("; ");
    const verdict =
      reasons.length === 0 ? "" : reasons.every(({ kind }) => kind === "busy") ? "busy, " : "impossible, ";
    return `    ${plainText(name)}: ${verdict}${plainText(why)}`;
  });
  const verdict = waiting.possible ? "waiting" : "impossible as it is";
  return [`  ${verdict}: ${plainText(waiting.summary)}`, ...perWorker, ""];
}
