import { newId } from "../protocol/ids.ts";
import type { MetricSummary } from "../protocol/messages.ts";
import type { ArtifactVersion, CreateRunInput, Run, RunDetail, StepRun } from "../protocol/resources.ts";
import { isTerminal, RUN_TRANSITIONS } from "../protocol/states.ts";
import { listArtifactsOfRun } from "./api/artifacts.ts";
import { cancelRun, createRun, getRun, listMetrics, listStepRuns } from "./api/runs.ts";
import type { CliContext } from "./context.ts";
import { EXIT, type ExitCode } from "./exit-code.ts";
import { failureTail } from "./follow/failure-tail.ts";
import { followRun } from "./follow/follow-run.ts";
import { lookFurther } from "./follow/look-further.ts";
import { liveProgress, type Progress, plainProgress, quietProgress } from "./follow/progress.ts";
import { createRunView, type RunView } from "./follow/run-view.ts";
import { renderSummary, runName } from "./follow/summary.ts";
import { Interrupts } from "./on-interrupt.ts";
import { type Connection, persistently } from "./platform/connection.ts";
import { plainText } from "./terminal/plain-text.ts";

export interface RunOptions {
  readonly json: boolean;
  /** Nothing but the end. */
  readonly quiet: boolean;
  /** Since before the run was submitted. */
  readonly interrupts: Interrupts;
  /** More lines for the summary of a run that succeeded. */
  readonly results?: (artifacts: readonly ArtifactVersion[]) => Promise<readonly string[]>;
}

/** Listens from before a run is submitted: an interrupt that comes meanwhile cancels it once it is there. */
export function interruptsOfRun({ console }: CliContext): Interrupts {
  return new Interrupts((count) => {
    if (count > 1) process.exit(EXIT.interrupted);
    console.note("cancelling once the server has answered; Ctrl-C again leaves without waiting, and the run may go on");
  });
}

/** Submits a run so that an answer that was lost does not make a second one. */
export async function submitRun(connection: Connection, input: CreateRunInput): Promise<RunDetail> {
  const request = { ...input, requestKey: newId("run") };
  return persistently(connection, () => createRun(connection.api, request));
}

/** What a person, or a script that does not wait, needs in order to find the run again. */
export function announceSubmitted(
  { console }: CliContext,
  run: RunDetail,
  { detach = false, json = false, quiet = false }: { detach?: boolean; json?: boolean; quiet?: boolean },
): void {
  const name = runName(run);
  if (detach && json) console.out(JSON.stringify(run, null, 2));
  else if (detach) console.out(`${name} submitted (${run.id}). Follow it: berth logs ${name} -f`);
  else if (!quiet && !json) console.note(`${name} submitted.`);
  if (run.waiting?.possible === false) {
    const advice = detach ? `berth cancel ${name}` : "Ctrl-C cancels it";
    console.note(`${console.noteStyle.yellow("warning:")} ${plainText(run.waiting.summary)} (${advice})`);
  }
}

/**
 * Follows a run to its end and prints how it went. Ctrl-C cancels the run and waits until it is cancelled; a second
 * one leaves at once.
 */
export async function runToEnd(
  context: CliContext,
  connection: Connection,
  run: Run,
  options: RunOptions,
): Promise<ExitCode> {
  const { console } = context;
  let interrupted = false;
  let notice = console.note;
  options.interrupts.handOver((count, signal) => {
    if (count > 1) leaveAtOnce(context, run);
    interrupted = true;
    notice("cancelling; Ctrl-C again leaves without waiting");
    cancelInterrupted(connection, run, signal).catch((error: Error) => notice(`could not cancel: ${error.message}`));
  });
  const steps = await persistently(connection, () => listStepRuns(connection.api, run.id));
  const view = createRunView("queued", steps);
  {
    using progress = createProgress(context, view, options);
    notice = (text) => progress.notice(text);
    await followRun({ connection, run: run.id, view, progress, withLogs: !options.quiet });
  }
  notice = console.note;
  const ended = await readEnd(connection, run);
  if (options.json) console.out(JSON.stringify(ended, null, 2));
  else await printEnd(context, connection, ended, options);
  return exitCodeOf(ended.run, interrupted);
}

function createProgress({ console }: CliContext, view: RunView, { json, quiet }: RunOptions): Progress {
  if (quiet) return quietProgress(console.note);
  if (json) return plainProgress(console.note);
  return console.isTerminal ? liveProgress(console, view) : plainProgress(console.out);
}

async function cancelInterrupted(connection: Connection, run: Run, signal: NodeJS.Signals): Promise<void> {
  const reason = signal === "SIGINT" ? "interrupted by Ctrl-C" : `the command that follows it got ${signal}`;
  try {
    await persistently(connection, () => cancelRun(connection.api, run.id, reason));
  } catch (error) {
    // It may have ended by itself in the meantime, which is then what is reported.
    const { state } = await getRun(connection.api, run.id);
    if (!isTerminal(RUN_TRANSITIONS, state)) throw error;
  }
}

function leaveAtOnce({ console }: CliContext, run: Run): never {
  // The live region hides the cursor; nobody disposes it any more.
  if (console.isTerminal) console.write("\u001b[?25h");
  console.note(`\n${runName(run)} is being cancelled; see: berth run show ${runName(run)}`);
  process.exit(EXIT.interrupted);
}

interface End {
  readonly run: RunDetail;
  readonly steps: readonly StepRun[];
  readonly artifacts: readonly ArtifactVersion[];
  readonly metrics: readonly MetricSummary[];
}

async function readEnd(connection: Connection, { id }: Run): Promise<End> {
  const { api } = connection;
  return persistently(connection, async () => {
    const [run, steps, artifacts, metrics] = await Promise.all([
      getRun(api, id),
      listStepRuns(api, id),
      listArtifactsOfRun(api, id),
      listMetrics(api, id),
    ]);
    return { run, steps, artifacts, metrics };
  });
}

async function printEnd({ console }: CliContext, connection: Connection, end: End, options: RunOptions): Promise<void> {
  const { run, artifacts, metrics } = end;
  // What the server has is the truth; the view that was followed only told it as it came.
  const view = createRunView(run.state, end.steps);
  const style = console.style;
  for (const line of renderSummary({ run, view, artifacts, metrics }, style)) console.out(line);
  const logsWereShown = !options.quiet && !console.isTerminal;
  if (run.state === "failed" && !logsWereShown) {
    for (const line of await failureTail(connection.api, run.id, end.steps, style)) console.out(line);
  }
  if (run.state === "succeeded") for (const line of (await options.results?.(artifacts)) ?? []) console.out(line);
  for (const line of lookFurther(runName(run), view, artifacts, style)) console.out(line);
}

/** A run that Ctrl-C came too late for is reported like any other. */
function exitCodeOf(run: Run, interrupted: boolean): ExitCode {
  if (run.state === "succeeded") return EXIT.success;
  return interrupted && run.state === "cancelled" ? EXIT.interrupted : EXIT.runFailed;
}
