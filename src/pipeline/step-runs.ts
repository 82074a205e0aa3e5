import { matrixKey, type Scalar, stepRunKey } from "../protocol/names.ts";
import type { Plan } from "../protocol/plan.ts";
import type { StepState } from "../protocol/states.ts";
import type { EndState } from "./run-graph-node.ts";

/** One step inside one run: what the server stores and the agent starts. */
export interface StepRunIdentity {
  /** Unique within the run: `train[model=forest]`, `score[7]`. */
  readonly key: string;
  readonly step: string;
  /** Order of display; the items of a batch share their parent's and follow it by item. */
  readonly position: number;
  readonly matrix: Readonly<Record<string, Scalar>> | null;
  /** Number of the batch item, from 0; null for all others. */
  readonly item: number | null;
  /** Key of the batch that an item belongs to. */
  readonly parent: string | null;
}

export interface StepRunSpec extends StepRunIdentity {
  /** A batch as a whole: it runs no attempt, but is split into items once its input is there. */
  readonly isBatch: boolean;
}

/** The step runs that exist when a run is created: one per step, or per combination of its matrix. */
export function initialStepRuns(plan: Pick<Plan, "steps">): StepRunSpec[] {
  const specs: StepRunSpec[] = [];
  for (const { name, matrix: combinations, batch } of plan.steps) {
    for (const matrix of combinations ?? [null]) {
      const key = stepRunKey(name, matrix, null);
      specs.push({
        key,
        step: name,
        position: specs.length,
        matrix,
        item: null,
        parent: null,
        isBatch: batch !== null,
      });
    }
  }
  return specs;
}

/** The items that a batch is split into. */
export function batchItems(parent: StepRunSpec, count: number): StepRunSpec[] {
  const { step, position, matrix } = parent;
  return Array.from({ length: count }, (_, item) => {
    return { key: stepRunKey(step, matrix, item), step, position, matrix, item, parent: parent.key, isBatch: false };
  });
}

/** Digits of an item's number in a gathered folder: entries sort in item order up to a million items. */
const ITEM_DIGITS = 6;

/** How a step run is told from its siblings: `000007`, `model=forest`, or `model=forest,000007`. */
export function itemKey({ matrix, item }: Pick<StepRunSpec, "matrix" | "item">): string {
  const number = item === null ? [] : [String(item).padStart(ITEM_DIGITS, "0")];
  return [...(matrix === null ? [] : [matrixKey(matrix)]), ...number].join(",");
}

/** The end of a step run that followed from something else: skipped, or a batch whose last item ended. */
export interface Consequence {
  readonly stepRun: StepRunSpec;
  readonly state: EndState;
  /** Of one that was skipped: whether only conditions are the reason, and no failure that counts. */
  readonly byCondition: boolean;
}

/** What is known of a step run when a run is taken over: a part of protocol/agent-api.ts PriorStepRun. */
export interface PriorState {
  readonly stepRun: string;
  readonly state: StepState;
  /** For a batch that was split. */
  readonly items: number | null;
  /** Of one that was skipped, as in a Consequence. */
  readonly byCondition: boolean;
}
