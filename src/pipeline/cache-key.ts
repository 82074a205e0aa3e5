import { createHash } from "node:crypto";
import type { Scalar } from "../protocol/names.ts";
import type { Params, Plan, SourceRef, StepPlan } from "../protocol/plan.ts";

/** Everything that decides what a step run makes, by name: what is the same in all of it need not run again. */
export type CacheComponents = Readonly<Record<string, string>>;

export interface CacheFacts {
  readonly plan: Pick<Plan, "env" | "environments">;
  readonly step: StepPlan;
  readonly matrix: Readonly<Record<string, Scalar>> | null;
  readonly params: Params;
  readonly source: SourceRef | null;
  /** Digest of what it runs in, or its name where that is all there is; null while it is not known. */
  readonly image: string | null;
  /** The contents that each input is made of, in order, by digest. */
  readonly inputs: Readonly<Record<string, readonly string[]>>;
  /** Digest of a batch item's share of the input; null outside of a batch. */
  readonly share: string | null;
}

/** Longer values are shown by their digest. */
const SHOWN_MAX_CHARS = 200;

/** The name of the component that only a worker knows. */
export const IMAGE_COMPONENT = "image";

/**
 * The components of a step run's key. Of parameters and environment variables all count, since a program may read any;
 * limits, retries and the number of a batch item do not, since they are not part of what is made.
 */
export function cacheComponents(facts: CacheFacts): CacheComponents {
  const { plan, step, matrix, params, source, image, inputs, share } = facts;
  const environment = plan.environments[step.environment]!;
  const env = { ...plan.env, ...environment.env, ...step.env };
  return {
    ...(image === null ? {} : { [IMAGE_COMPONENT]: image }),
    command: digestOf(step.action),
    outputs: digestOf(withoutRetention(step.outputs)),
    network: typeof step.network === "string" ? step.network : digestOf(step.network),
    ...(step.secrets === undefined ? {} : { secrets: digestOf(step.secrets) }),
    ...(step.isolation === undefined ? {} : { isolation: digestOf(step.isolation) }),
    ...(step.cache?.key == null ? {} : { key: shown(step.cache.key) }),
    ...prefixed("env", env, shown),
    ...prefixed("params", params, (value) => shown(JSON.stringify(value))),
    ...prefixed("matrix", matrix ?? {}, (value) => shown(JSON.stringify(value))),
    ...prefixed("inputs", inputs, (digests) => (digests.length === 1 ? digests[0]! : digestOf(digests))),
    ...(share === null ? {} : { "inputs.batch": share }),
    ...(source === null ? {} : { source: source.digest }),
  };
}

/** How long it is kept does not change what is made. */
function withoutRetention(outputs: StepPlan["outputs"]): StepPlan["outputs"] {
  return Object.fromEntries(
    Object.entries(outputs).map(([name, output]) => {
      const { retention: _, ...made } = output;
      return [name, made];
    }),
  );
}

/** The address of what these components make. */
export function cacheKey(components: CacheComponents): string {
  return digestOf(Object.entries(components).toSorted(([left], [right]) => (left < right ? -1 : 1)));
}

/** Whether nothing is missing of what was made; what was kept for a time only may be gone. */
export function isWhole({ outputs }: Pick<StepPlan, "outputs">, made: Readonly<Record<string, unknown>>): boolean {
  return Object.entries(outputs).every(([name, { optional }]) => optional || Object.hasOwn(made, name));
}

/** A component that is not the same in two keys; null where one of them has none. */
export interface CacheDifference {
  readonly name: string;
  readonly before: string | null;
  readonly after: string | null;
}

export function cacheDifferences(before: CacheComponents, after: CacheComponents): CacheDifference[] {
  const names = [...new Set([...Object.keys(before), ...Object.keys(after)])].toSorted();
  return names
    .map((name) => ({ name, before: before[name] ?? null, after: after[name] ?? null }))
    .filter((difference) => difference.before !== difference.after);
}

function prefixed<Value>(
  prefix: string,
  values: Readonly<Record<string, Value>>,
  show: (value: Value) => string,
): Record<string, string> {
  return Object.fromEntries(Object.entries(values).map(([name, value]) => [`${prefix}.${name}`, show(value)]));
}

function shown(text: string): string {
  return text.length <= SHOWN_MAX_CHARS ? text : digestOf(text);
}

function digestOf(value: unknown): string {
  return createHash("sha256").update(JSON.stringify(value)).digest("hex");
}
