import type { RunEvidence } from "./evidence.ts";

/** What a run's own stream of events says about leases: each report of an agent has to lie within its lease. */
export function staleWrites({ events, steps }: RunEvidence): string[] {
  const epochs = new Map(
    steps.flatMap(({ key, attempts }) => attempts.map(({ attempt, epoch }) => [`${key} ${attempt}`, epoch])),
  );
  const found: string[] = [];
  let lease: number | null = null;
  let ended = false;
  for (const { body } of events) {
    if (body.type === "run.leased") lease = body.epoch;
    else if (body.type === "run.released") lease = null;
    else if (body.type === "run.finished") ended = true;
    else if (body.type === "attempt.started" || body.type === "attempt.finished") {
      const name = `${body.stepRun} ${body.attempt}`;
      const epoch = epochs.get(name);
      if (ended) found.push(`${body.type} of ${name} came after the end of the run`);
      else if (lease === null) found.push(`${body.type} of ${name} came while nobody had the run`);
      else if (epoch !== undefined && epoch !== lease) found.push(`${body.type} of ${name} came under epoch ${lease}`);
    }
  }
  return found;
}

/** Whether no agent could run what is to run in any case: none had the run when it was cancelled, or it was lost then. */
export function endedByServer({ events }: RunEvidence): boolean {
  let isHeld = false;
  for (const { body } of events) {
    if (body.type === "run.leased") isHeld = true;
    else if (body.type === "run.released") isHeld = false;
    else if (body.type === "run.finished") return !isHeld;
  }
  return false;
}

/** Leases that ended because their worker was not heard of: what it had not sent by then, nobody takes any more. */
export function lostLeases({ events }: Pick<RunEvidence, "events">): ReadonlySet<number> {
  return new Set(events.flatMap(({ body }) => (body.type === "run.released" ? [body.epoch] : [])));
}
