import { createHash } from "node:crypto";
import type { ArtifactVersion, RunDetail, StepRun } from "../../src/protocol/resources.ts";
import type { ChaosApi } from "./api.ts";
import type { LedgerEntry } from "./ledger.ts";
import { LOG_LINES, type Workload } from "./workload.ts";

export interface AcceptedRun {
  readonly id: string;
  readonly workload: Workload;
  readonly cancelled: boolean;
}

/** Everything that must not be, each with enough words to look for it. */
export interface Verdict {
  /** Runs that the server accepted and that did not end, or not as they had to. */
  readonly lost: readonly string[];
  /** Step runs with more than one visible success, or with an output that is there twice. */
  readonly duplicated: readonly string[];
  /** Attempts that still worked when the next attempt of the same step run, under the same lease, had begun. */
  readonly overlapping: readonly string[];
  /** Successes that the ledger knows nothing of, or that were recorded under a lease that was not current. */
  readonly stale: readonly string[];
  /** Logs of succeeded attempts with lines missing, repeated or out of order. */
  readonly logGaps: readonly string[];
  /** Artifacts whose bytes are not those that their producer had. */
  readonly wrongBytes: readonly string[];
}

/** Holds what the API says of each run against what its steps said themselves. */
export async function judge(
  api: ChaosApi,
  runs: readonly AcceptedRun[],
  ledger: readonly LedgerEntry[],
): Promise<Verdict> {
  const verdict = { lost: [], duplicated: [], overlapping: [], stale: [], logGaps: [], wrongBytes: [] } as {
    [Name in keyof Verdict]: string[];
  };
  const byRun = Map.groupBy(ledger, ({ run }) => run);
  for (const accepted of runs) await judgeRun(api, accepted, byRun.get(accepted.id) ?? [], verdict);
  return verdict;
}

async function judgeRun(
  api: ChaosApi,
  { id, workload, cancelled }: AcceptedRun,
  entries: readonly LedgerEntry[],
  verdict: { [Name in keyof Verdict]: string[] },
): Promise<void> {
  const run = await api.get<RunDetail>(`/runs/${id}?project=default`);
  const isAsExpected = run.state === workload.expected || (cancelled && run.state === "cancelled");
  if (!isAsExpected) verdict.lost.push(`${id} is ${run.state}: ${run.fault?.message}`);
  const steps = await api.get<{ items: StepRun[] }>(`/runs/${id}/steps?project=default&limit=500`);
  const artifacts = await api.get<{ items: ArtifactVersion[] }>(`/artifacts?project=default&run=${id}&limit=500`);
  for (const step of steps.items) {
    const name = `${id} ${step.key}`;
    const successes = step.attempts.filter(({ state }) => state === "succeeded");
    const outputs = artifacts.items.filter(({ stepRun }) => stepRun === step.key);
    if (successes.length > 1 || outputs.length > 1) verdict.duplicated.push(`${name}: ${successes.length} successes`);
    const told = entries.filter(({ stepRun }) => stepRun === step.key);
    verdict.overlapping.push(...overlaps(step, told).map((what) => `${name}: ${what}`));
    if (successes.length !== 1) continue;
    const { attempt } = successes[0]!;
    const end = told.find((entry) => entry.word === "end" && entry.attempt === attempt);
    if (end === undefined) verdict.stale.push(`${name}: attempt ${attempt} succeeded without having said so`);
    await judgeLog(api, { id, key: step.key, attempt }, verdict);
    const [output] = outputs;
    if (end === undefined || output === undefined) continue;
    const { step: producer, name: artifact, version, item } = output;
    const reference = `/artifacts/${output.pipeline}/${producer}/${artifact}/${version}/content`;
    const bytes = await api.text(
      `${reference}?project=default${item === "" ? "" : `&item=${encodeURIComponent(item)}`}`,
    );
    const digest = createHash("sha256").update(bytes).digest("hex");
    // Tried again after a hand-over, an attempt may have ended twice under one number: one of them has to be it.
    const ends = told.filter((entry) => entry.word === "end" && entry.attempt === attempt);
    if (!ends.some((entry) => entry.digest === digest)) verdict.wrongBytes.push(`${name}: ${digest}`);
  }
}

/** Under one lease a second attempt begins only when the first is over. */
function overlaps(step: StepRun, told: readonly LedgerEntry[]): string[] {
  const epochs = new Map(step.attempts.map(({ attempt, epoch }) => [attempt, epoch]));
  let newest = 0;
  const found: string[] = [];
  for (const { word, attempt } of told) {
    if (word === "begin") newest = Math.max(newest, attempt);
    else if (attempt < newest && epochs.get(attempt) === epochs.get(newest))
      found.push(`attempt ${attempt} said "${word}" when attempt ${newest} had begun`);
  }
  return found;
}

async function judgeLog(
  api: ChaosApi,
  { id, key, attempt }: { readonly id: string; readonly key: string; readonly attempt: number },
  verdict: { [Name in keyof Verdict]: string[] },
): Promise<void> {
  const query = `project=default&step=${encodeURIComponent(key)}&attempt=${attempt}`;
  const text = await api.text(`/runs/${id}/logs?${query}`);
  const lines = [...text.matchAll(/line (\d+)$/gm)].map(([, number]) => Number(number));
  const isWhole = lines.length === LOG_LINES && lines.every((number, index) => number === index);
  if (!isWhole) verdict.logGaps.push(`${id} ${key}, attempt ${attempt}: ${lines.length} of ${LOG_LINES} lines`);
}
