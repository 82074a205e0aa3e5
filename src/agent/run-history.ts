import type { Assignment, LeaseRef, LogStream } from "../protocol/agent-api.ts";
import type { Content } from "../protocol/artifacts.ts";
import type { CancelFacts } from "../protocol/cancel.ts";
import { type AgentEvent, type AgentEventBody, type FixedImage, fixedImage } from "../protocol/events.ts";
import type { AttemptResult, AttemptWork } from "../runtime/attempt-work.ts";
import type { JournalRecord } from "./journal-record.ts";

/** What a journal says of one attempt. */
export interface AttemptHistory {
  readonly work: AttemptWork;
  /** Whether user code may have begun; otherwise it was only made ready. */
  readonly intended: boolean;
  readonly result: AttemptResult | null;
  readonly again: boolean;
  readonly retryAt: number | null;
  readonly pauseMs: number | null;
  /** Whether its end is among the events; if not, its outputs are still on their way to the server. */
  readonly reported: boolean;
  readonly released: boolean;
}

/** Whether its step run goes on by this worker: the attempt runs, or another one follows it. */
export function isOpen(attempt: AttemptHistory): boolean {
  return isUnderWay(attempt) || attempt.again;
}

export function isUnderWay({ intended, result }: AttemptHistory): boolean {
  return intended && result === null;
}

/** A journal, read back: everything that a run's driver needs to go on where an earlier process stopped. */
export class RunHistory {
  assignment: Assignment | null = null;
  /** By this machine's clock. */
  assignedAt = 0;
  readonly events: AgentEvent[] = [];
  /** Attempts by step run, in order. */
  readonly attempts = new Map<string, AttemptHistory[]>();
  /** Items of the batches that were split. */
  readonly expanded = new Map<string, number>();
  /** Step runs that ended without an attempt. */
  readonly ended = new Map<string, Extract<AgentEventBody, { type: "step.finished" }>>();
  /** Outputs of step runs whose result was taken from the cache. */
  readonly cached = new Map<string, Readonly<Record<string, Content>>>();
  /** The backend that the run was started on. */
  backend: string | null = null;
  /** The images that were reported, by environment. */
  readonly images = new Map<string, FixedImage>();
  cancel: CancelFacts | null = null;
  fenced = false;
  finished = false;
  readonly #logOffsets = new Map<string, number>();
  /** Attempts in the order in which they ended. */
  readonly #results: { readonly stepRun: string; readonly attempt: number }[] = [];

  get lease(): LeaseRef | null {
    return this.assignment === null ? null : { run: this.assignment.run, epoch: this.assignment.epoch };
  }

  get lastSeq(): number {
    return this.events.at(-1)?.seq ?? 0;
  }

  /** Attempts whose end is not among the events, each after those whose outputs it read. */
  get unreported(): AttemptHistory[] {
    const ended = this.#results.map(({ stepRun, attempt }) =>
      this.attempts.get(stepRun)?.find(({ work }) => work.ref.attempt === attempt),
    );
    return ended.filter((attempt) => attempt !== undefined && !attempt.reported) as AttemptHistory[];
  }

  logOffset(stepRun: string, attempt: number, stream: LogStream): number {
    return this.#logOffsets.get(logKey(stepRun, attempt, stream)) ?? 0;
  }

  readonly apply = (record: JournalRecord): void => {
    switch (record.type) {
      case "assigned":
        this.assignment = record.assignment;
        this.assignedAt = record.at;
        break;
      case "prepared":
      case "intent":
        this.#replace(record.work.ref.stepRun, record.work.ref.attempt, (known) => ({
          result: null,
          again: false,
          retryAt: null,
          pauseMs: null,
          reported: false,
          released: false,
          ...known,
          work: record.work,
          intended: record.type === "intent",
        }));
        break;
      case "result":
        this.#change(record.stepRun, record.attempt, {
          result: record.result,
          again: record.again,
          retryAt: record.retryAt,
          pauseMs: record.pauseMs,
        });
        this.#results.push({ stepRun: record.stepRun, attempt: record.attempt });
        break;
      case "released":
        this.#change(record.stepRun, record.attempt, { released: true });
        break;
      case "logs":
        for (const { stepRun, attempt, stream, offset } of record.acked) {
          this.#logOffsets.set(logKey(stepRun, attempt, stream), offset);
        }
        break;
      case "cancel":
        this.cancel = record.facts;
        break;
      case "fenced":
        this.fenced = true;
        break;
      case "events":
        break;
    }
    for (const event of record.events ?? []) this.#applyEvent(event);
  };

  #applyEvent(event: AgentEvent): void {
    this.events.push(event);
    const { body } = event;
    if (body.type === "run.started") this.backend = body.backend;
    if (body.type === "step.expanded") this.expanded.set(body.stepRun, body.items);
    if (body.type === "step.finished") this.ended.set(body.stepRun, body);
    if (body.type === "step.cached") {
      this.cached.set(body.stepRun, Object.fromEntries(body.outputs.map(({ name, content }) => [name, content])));
    }
    if (body.type === "image.ready") this.images.set(body.environment, fixedImage(body));
    if (body.type === "attempt.finished") this.#change(body.stepRun, body.attempt, { reported: true });
    if (body.type === "run.finished") this.finished = true;
  }

  #change(stepRun: string, attempt: number, change: Partial<AttemptHistory>): void {
    this.#replace(stepRun, attempt, (known) => (known === undefined ? undefined : { ...known, ...change }));
  }

  #replace(
    stepRun: string,
    attempt: number,
    change: (known: AttemptHistory | undefined) => AttemptHistory | undefined,
  ): void {
    const attempts = this.attempts.get(stepRun) ?? [];
    const index = attempts.findIndex(({ work }) => work.ref.attempt === attempt);
    const changed = change(attempts[index]);
    if (changed === undefined) return;
    if (index < 0) attempts.push(changed);
    else attempts[index] = changed;
    this.attempts.set(stepRun, attempts);
  }
}

function logKey(stepRun: string, attempt: number, stream: LogStream): string {
  return `${stepRun}\n${attempt}\n${stream}`;
}
