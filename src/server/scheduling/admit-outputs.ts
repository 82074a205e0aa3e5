import { BerthError } from "../../protocol/errors.ts";
import type { AgentEvent } from "../../protocol/events.ts";
import { type FaultCode, fault } from "../../protocol/faults.ts";
import type { Services } from "../services.ts";
import { type LeaseHolder, requireLease } from "../store/leases.ts";
import { pipelineNameOf } from "../store/pipelines.ts";
import { failRun } from "./fail-run.ts";

/** Throws `quota_exceeded` when outputs that these events commit are more than a quota of the project leaves room for. */
export async function admitOutputs(
  { database, quotas }: Pick<Services, "database" | "quotas">,
  holder: LeaseHolder,
  events: readonly AgentEvent[],
): Promise<void> {
  if (!events.some(({ body }) => body.type === "attempt.finished" && body.outputs.length > 0)) return;
  if (!(await quotas.hasAny(holder.project))) return;
  const { pipelineId, agentSeq } = await requireLease(database.pool, holder);
  // What was recorded before, and is sent again because the answer was lost, counts already.
  const outputs = events.flatMap(({ seq, body }) =>
    seq > agentSeq && body.type === "attempt.finished"
      ? body.outputs.map((output) => ({ ...output, stepRun: body.stepRun }))
      : [],
  );
  const pipeline = await pipelineNameOf(database.pool, pipelineId);
  for (const { name, stepRun, content, inline } of outputs) {
    // What was uploaded before was counted then.
    const blobs = new Map(inline === undefined ? [] : [[content.digest, content.size]]);
    const key = `${holder.run} ${stepRun} ${name}`;
    const artifact = { pipeline, key, name: `The output "${name}" of ${stepRun}`, bytes: content.size };
    await quotas.admit({ project: holder.project, blobs, artifact });
  }
}

/**
 * Does something for the holder of a run. Where that is refused because of a quota, the run is over: its agent would only
 * come to the same again, and so would the next.
 */
export async function endingAtQuota<T>(
  services: Pick<Services, "database" | "wakeups" | "log">,
  holder: LeaseHolder,
  work: () => Promise<T>,
): Promise<T> {
  try {
    return await work();
  } catch (error) {
    if (!(error instanceof BerthError && error.code === "quota_exceeded")) throw error;
    const code: FaultCode = "quota-exceeded";
    await failRun(
      services,
      holder,
      fault(code, error.message, error.advice === undefined ? {} : { advice: error.advice }),
    );
    throw error;
  }
}
