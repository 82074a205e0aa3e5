import type { Logger } from "pino";
import type { BootResponse, LeaseRef } from "../protocol/agent-api.ts";
import { removeTree } from "../std/remove-tree.ts";
import { Journal } from "./journal.ts";
import type { RunLeftOver } from "./run-driver.ts";
import { listRunFolders } from "./run-folder.ts";
import { RunHistory } from "./run-history.ts";

/** A run of an earlier process: its open journal, read back. */
export type JournaledRun = Omit<RunLeftOver, "ackedSeq">;

/** Opens the journal of a run's folder; null when nothing was assigned in it, and then the folder is removed. */
export async function openJournal(folder: string): Promise<JournaledRun | null> {
  const history = new RunHistory();
  const journal = Journal.open(folder, history.apply);
  if (history.assignment !== null) return { journal, history };
  journal[Symbol.dispose]();
  await removeTree(folder);
  return null;
}

/** Every run that earlier processes left in this agent's home. */
export async function openJournals(home: string): Promise<JournaledRun[]> {
  const opened = [];
  for (const folder of listRunFolders(home)) opened.push(await openJournal(folder));
  return opened.filter((run) => run !== null);
}

/**
 * Announces the runs found on disk and learns which of them are still ours. A run of which the server knows more than
 * its journal lost its end in a power cut: it cannot be continued from here, so it is left out of a second
 * announcement, by which the server queues it again with everything that was committed.
 */
export async function announce(
  runs: readonly JournaledRun[],
  boot: (held: readonly LeaseRef[]) => Promise<BootResponse>,
  log: Logger,
): Promise<{ readonly boot: BootResponse; readonly leftOvers: readonly RunLeftOver[] }> {
  const held = runs.filter(({ history }) => !history.fenced);
  const answer = await boot(held.map(({ history }) => history.lease!));
  const shortened = held.filter((run) => ackedSeqOf(answer, run) > run.history.lastSeq);
  if (shortened.length === 0) return { boot: answer, leftOvers: runs.map((run) => leftOver(run, answer)) };
  for (const { history, journal } of shortened) {
    log.error({ run: history.lease!.run }, "the journal lost its end in a power cut; the run is handed back");
    history.fenced = true;
    journal.append({ type: "fenced", why: "the journal lost its end in a power cut" });
  }
  return announce(runs, boot, log);
}

function leftOver({ journal, history }: JournaledRun, answer: BootResponse): RunLeftOver {
  const ackedSeq = ackedSeqOf(answer, { journal, history });
  if (ackedSeq < 0 && !history.fenced) {
    history.fenced = true;
    journal.append({ type: "fenced", why: "the server gave the lease up while this agent was away" });
  }
  const kept = answer.kept.find((lease) => isSame(lease, history.lease!));
  history.cancel ??= kept?.cancel ?? null;
  return { journal, history, ackedSeq };
}

/** -1 for a lease that is not ours any more. */
function ackedSeqOf(answer: BootResponse, { history }: JournaledRun): number {
  return answer.kept.find((lease) => isSame(lease, history.lease!))?.ackedSeq ?? -1;
}

function isSame(left: LeaseRef, right: LeaseRef): boolean {
  return left.run === right.run && left.epoch === right.epoch;
}
