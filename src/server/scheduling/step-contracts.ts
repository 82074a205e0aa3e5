import { type OutputPlan, Plan } from "../../protocol/plan.ts";
import type { RetentionRule } from "../../protocol/retention.ts";
import type { Queryable } from "../store/database.ts";

/** What of a step's plan an agent's reports are held against. */
export interface StepContract {
  readonly isBatch: boolean;
  /** Whether the run may succeed although the step did not. */
  readonly mayFail: boolean;
  /** A map: an output may be called `constructor`. */
  readonly outputs: ReadonlyMap<string, OutputPlan>;
  /** What its pipeline file says of all artifacts; null for nothing. */
  readonly retention: RetentionRule | null;
}

export type StepContracts = ReadonlyMap<string, StepContract>;

/** Pipeline versions kept: each is read once and never changes, so another replica's copy is as good. */
const KEPT_VERSIONS = 100;

/** Reads plans once, because a plan of thousands of steps would otherwise be parsed again for each batch of events. */
export class ContractCache {
  /** In order of use, the least recent first. */
  readonly #versions = new Map<string, StepContracts>();

  async get(db: Queryable, pipelineId: string, version: number): Promise<StepContracts> {
    const key = `${pipelineId}/${version}`;
    const contracts = this.#versions.get(key) ?? (await readContracts(db, pipelineId, version));
    this.#versions.delete(key);
    this.#versions.set(key, contracts);
    if (this.#versions.size > KEPT_VERSIONS) this.#versions.delete(this.#versions.keys().next().value!);
    return contracts;
  }
}

async function readContracts(db: Queryable, pipelineId: string, version: number): Promise<StepContracts> {
  const { rows } = await db.query<{ plan: unknown }>(
    "SELECT plan FROM pipeline_versions WHERE pipeline_id = $1 AND version = $2",
    [pipelineId, version],
  );
  const { steps, retention = null } = Plan.parse(rows[0]!.plan);
  return new Map(
    steps.map(({ name, batch, allowFailure, outputs }) => [
      name,
      { isBatch: batch !== null, mayFail: allowFailure, outputs: new Map(Object.entries(outputs)), retention },
    ]),
  );
}
