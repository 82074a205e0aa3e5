import type { AttemptResult } from "../../runtime/attempt-work.ts";
import type { Visit } from "../../runtime/enter-attempt.ts";
import { formatSize } from "../../std/format-size.ts";
import { runName } from "../follow/summary.ts";
import type { Console } from "../terminal/console.ts";
import { formatDuration } from "../terminal/format-duration.ts";
import { plainLines, plainText } from "../terminal/plain-text.ts";
import type { PastAttempt } from "./find-attempt.ts";
import type { LocalOutput } from "./local-outputs.ts";
import type { ReplayWork } from "./replay-work.ts";

/** What stays on this machine. */
export interface LeftBehind {
  /** Where the outputs are. */
  readonly folder: string;
  readonly outputs: readonly LocalOutput[];
  /** Where the attempt's folder stays, if it does. */
  readonly kept: string | null;
}

/** A replay that has ended. */
export interface ReplayReport extends LeftBehind {
  readonly past: PastAttempt;
  readonly backend: string;
  readonly made: ReplayWork;
  readonly result: Pick<AttemptResult, "outcome" | "phases">;
}

export function reportStart(console: Console, past: PastAttempt, backend: string): void {
  const { run, stepRun, attempt, takenOverBy } = past;
  const name = `${runName(run)}/${stepRun.key}`;
  if (takenOverBy !== null) {
    console.note(plainText(`${runName(takenOverBy)} took the result of ${stepRun.key} over from ${runName(run)}.`));
  }
  const where = attempt.backend === backend ? `on ${backend}` : `on ${backend}; it ran on ${attempt.backend}`;
  console.note(plainText(`Replaying attempt ${attempt.attempt} of ${name} (${howItEnded(attempt)}) ${where}.`));
}

function howItEnded({ state, fault }: Pick<PastAttempt["attempt"], "state" | "fault">): string {
  return fault === null ? state : `${state}: ${fault.code}`;
}

export function reportReplay(console: Console, report: ReplayReport, json: boolean): void {
  if (json) {
    console.out(JSON.stringify(toJson(report), null, 2));
    return;
  }
  const { result, outputs, folder, kept } = report;
  const { outcome, phases } = result;
  const { noteStyle: style } = console;
  const paint = outcome.state === "succeeded" ? style.green : style.red;
  const took = phases.running === undefined ? "" : ` after ${formatDuration(phases.running)}`;
  console.note(`${paint(howItEnded(outcome))}${took}`);
  if (outcome.fault !== null) for (const line of plainLines(outcome.fault.message)) console.note(`  ${line}`);
  for (const warning of outcome.warnings) console.note(`  ${plainText(warning)}`);
  reportLeft(console, { folder, outputs, kept });
}

/** What there is to say when a person has left the place of an attempt. */
export function reportVisit(console: Console, { exitCode, faults }: Visit, left: LeftBehind): void {
  console.note(`The shell ended with ${exitCode}.`);
  for (const { message } of faults) console.note(`  ${plainText(message)}`);
  reportLeft(console, left);
}

function reportLeft(console: Console, { folder, outputs, kept }: LeftBehind): void {
  const { noteStyle: style } = console;
  if (outputs.length > 0) console.note(`Outputs in ${plainText(folder)}:`);
  for (const { path, size, before } of outputs) {
    const compared =
      before === null
        ? "the attempt had none"
        : before.same
          ? `the same as version ${before.version}`
          : `not the same as version ${before.version}`;
    console.note(`  ${plainText(path.slice(folder.length + 1))}  ${style.dim(`${formatSize(size)}, ${compared}`)}`);
  }
  if (kept !== null) console.note(`The attempt's folder stays: ${plainText(kept)}`);
}

function toJson({ past, backend, made, result, folder, outputs, kept }: ReplayReport): object {
  const { run, stepRun, attempt } = past;
  const { outcome, phases } = result;
  return {
    run: { id: run.id, pipeline: run.pipeline, number: run.number },
    stepRun: stepRun.key,
    attempt: attempt.attempt,
    takenOverBy: past.takenOverBy === null ? null : { id: past.takenOverBy.id, number: past.takenOverBy.number },
    original: { backend: attempt.backend, state: attempt.state, exitCode: attempt.exitCode, fault: attempt.fault },
    backend,
    image: made.image,
    replay: {
      state: outcome.state,
      exitCode: outcome.exitCode,
      signal: outcome.signal,
      fault: outcome.fault,
      warnings: outcome.warnings,
      phases,
    },
    folder: outputs.length === 0 ? null : folder,
    outputs,
    kept,
  };
}
