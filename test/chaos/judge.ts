import type { StepRun } from "../../src/protocol/resources.ts";
import { isTerminal, RUN_TRANSITIONS, STEP_TRANSITIONS } from "../../src/protocol/states.ts";
import type { RunEvidence } from "./evidence.ts";
import { endedByServer, lostLeases, staleWrites } from "./judge-events.ts";
import type { LedgerEntry } from "./ledger.ts";
import { LOG_LINES } from "./workload.ts";

/** Everything that must not be, each with enough words to look for it. */
export interface Verdict {
  /** Runs that the server accepted and that did not end, or not as they had to; step runs likewise. */
  readonly lost: readonly string[];
  /** Step runs with more than one visible success or output, and attempts that were executed twice under one lease. */
  readonly duplicated: readonly string[];
  /** Attempts that still worked when the next attempt of the same step run, under the same lease, had begun. */
  readonly overlapping: readonly string[];
  /** Reports that were taken from a lease that was over, and successes that the ledger knows nothing of. */
  readonly stale: readonly string[];
  /** Logs of attempts with bytes or lines missing, repeated or out of order; under a lease that was lost, but for the end. */
  readonly logGaps: readonly string[];
  /** Artifacts whose bytes are not those that their producer had. */
  readonly wrongBytes: readonly string[];
}

type Findings = { [Name in keyof Verdict]: string[] };

/** Holds what the platform says of each run against what its steps said themselves. */
export function judge(runs: readonly RunEvidence[], ledger: readonly LedgerEntry[]): Verdict {
  const verdict: Findings = { lost: [], duplicated: [], overlapping: [], stale: [], logGaps: [], wrongBytes: [] };
  const byRun = Map.groupBy(ledger, ({ run }) => run);
  const known = new Set(ledger.flatMap(({ digest }) => digest ?? []));
  for (const evidence of runs) {
    const { id } = evidence.accepted;
    const told = byRun.get(id) ?? [];
    judgeEnd(evidence, verdict);
    verdict.stale.push(...staleWrites(evidence).map((what) => `${id}: ${what}`));
    for (const step of evidence.steps) {
      judgeStep(
        evidence,
        step,
        told.filter(({ stepRun }) => stepRun === step.key),
        verdict,
      );
    }
    for (const { body } of evidence.events) {
      if (body.type !== "step.cached") continue;
      const foreign = body.outputs.filter(({ content }) => !known.has(content.digest.replace(/^sha256:/, "")));
      verdict.wrongBytes.push(...foreign.map(({ name }) => `${id} ${body.stepRun}: took a ${name} that nobody made`));
    }
  }
  return verdict;
}

function judgeEnd(evidence: RunEvidence, verdict: Findings): void {
  const { accepted, run, steps } = evidence;
  const { id, workload, cancelled } = accepted;
  // One that comes while the run is at its end already changes how the last steps end, and not how the run does.
  const isCancelled = cancelled && evidence.events.some(({ body }) => body.type === "run.cancel_requested");
  if (run.state !== workload.expected && !(isCancelled && run.state === "cancelled"))
    verdict.lost.push(`${id} is ${run.state}: ${run.fault?.message}`);
  if (!isTerminal(RUN_TRANSITIONS, run.state)) return;
  const byKey = new Map(steps.map((step) => [step.key, step]));
  for (const { key, state } of steps) {
    if (!isTerminal(STEP_TRANSITIONS, state)) verdict.lost.push(`${id} ${key} is ${state} in a run that has ended`);
  }
  const mustBe = isCancelled
    ? workload.inAnyCase.filter(() => !endedByServer(evidence)).map((key) => [key, "succeeded"])
    : Object.entries(workload.steps);
  for (const [key, state] of mustBe) {
    const step = byKey.get(key!);
    if (step?.state !== state)
      verdict.lost.push(`${id} ${key} is ${step?.state}, not ${state}: ${step?.fault?.message}`);
  }
}

function judgeStep(evidence: RunEvidence, step: StepRun, told: readonly LedgerEntry[], verdict: Findings): void {
  const { id, workload } = evidence.accepted;
  const name = `${id} ${step.key}`;
  const successes = step.attempts.filter(({ state }) => state === "succeeded");
  const outputs = evidence.outputs.filter(({ stepRun }) => stepRun === step.key);
  if (successes.length > 1) verdict.duplicated.push(`${name}: ${successes.length} successes`);
  if (new Set(outputs.map((output) => output.name)).size < outputs.length)
    verdict.duplicated.push(`${name}: one output is there ${outputs.length} times`);
  verdict.duplicated.push(...executedTwice(told).map((what) => `${name}: ${what}`));
  verdict.overlapping.push(...overlaps(told).map((what) => `${name}: ${what}`));
  for (const attempt of step.attempts) {
    const hasEnded = endsOf(attempt, told).length > 0;
    if (attempt.state === "succeeded" || (attempt.exitCode !== null && hasEnded))
      judgeLog(evidence, step.key, attempt, verdict);
  }
  const [success] = successes;
  if (success === undefined) {
    if (step.state === "succeeded" && !workload.withoutAttempt.includes(step.key))
      verdict.stale.push(`${name}: succeeded without an attempt that did`);
    return;
  }
  const ends = endsOf(success, told);
  if (ends.length === 0) verdict.stale.push(`${name}: attempt ${success.attempt} succeeded without having said so`);
  for (const { digest } of outputs) {
    if (!ends.some((entry) => entry.digest === digest)) verdict.wrongBytes.push(`${name}: ${digest}`);
  }
  if (outputs.length === 0) verdict.lost.push(`${name}: succeeded, and its output is not there`);
}

function endsOf(attempt: AttemptName, told: readonly LedgerEntry[]): LedgerEntry[] {
  return told.filter((entry) => entry.word === "end" && isSame(entry, attempt));
}

interface AttemptName {
  readonly attempt: number;
  readonly epoch: number;
}

function isSame(left: AttemptName, right: AttemptName): boolean {
  return left.attempt === right.attempt && left.epoch === right.epoch;
}

/** What was not reported is done again under the next lease; under one lease an attempt is executed once. */
function executedTwice(told: readonly LedgerEntry[]): string[] {
  const byAttempt = Map.groupBy(told, ({ attempt, epoch }) => `attempt ${attempt} of epoch ${epoch}`);
  return [...byAttempt].flatMap(([name, entries]) => {
    const lives = new Set(entries.map(({ life }) => life)).size;
    return lives > 1 ? [`${name} was executed ${lives} times`] : [];
  });
}

/** Under one lease a second attempt begins only when the first is over. */
function overlaps(told: readonly LedgerEntry[]): string[] {
  const newest = new Map<number, number>();
  const found: string[] = [];
  for (const { word, attempt, epoch } of told) {
    const last = newest.get(epoch) ?? 0;
    if (attempt < last)
      found.push(`attempt ${attempt} said "${word}" when attempt ${last} of epoch ${epoch} had begun`);
    newest.set(epoch, Math.max(last, attempt));
  }
  return found;
}

function judgeLog(evidence: RunEvidence, key: string, attempt: AttemptName, verdict: Findings): void {
  const log = evidence.logs.find((one) => one.stepRun === key && isSame(one, attempt));
  const lines = [...(log?.text ?? "").matchAll(/^line (\d+)$/gm)].map(([, number]) => Number(number));
  const isInOrder = (log?.breaks ?? 0) === 0 && lines.every((number, index) => number === index);
  const isWhole = lines.length === LOG_LINES || lostLeases(evidence).has(attempt.epoch);
  if (!isInOrder || !isWhole || lines.length > LOG_LINES)
    verdict.logGaps.push(
      `${evidence.accepted.id} ${key}, attempt ${attempt.attempt}: ${lines.length} of ${LOG_LINES} lines`,
    );
}
