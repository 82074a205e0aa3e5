import { FAULTS, FaultClass, type FaultCode } from "../protocol/faults.ts";
import { DEFAULT_RETRY, type RetryPolicy } from "../protocol/plan.ts";
import type { Compilation } from "./compilation.ts";
import { type Path, quote } from "./problem.ts";
import { parseDuration, parseMemory } from "./quantity.ts";
import type { RetrySpec, StepSpec } from "./schema.ts";
import { didYouMean } from "./suggest.ts";

/** Trying again changes nothing for these, or is not wanted. */
const NEVER: Readonly<Partial<Record<FaultClass, string>>> = {
  business: "what the step says of its data does not change by trying again",
  configuration: "what the pipeline file asks for does not change by trying again",
  cancelled: "a run that was cancelled is not tried again",
};

/** The policy of a step: what it says itself, over what the pipeline says, over the defaults. */
export function compileRetry(step: string, spec: StepSpec, compilation: Compilation): RetryPolicy {
  const ofPipeline = partOf(compilation.file.retry);
  const ofStep = partOf(spec.retry);
  const policy = { ...DEFAULT_RETRY, ...ofPipeline, ...ofStep };
  const path = ["steps", step, "retry"];
  if (spec.retry !== undefined) checkRetry(spec.retry, path, policy, compilation);
  const { memory } = spec.resources ?? {};
  if (memory !== undefined && (ofStep.maxMemoryBytes ?? Number.POSITIVE_INFINITY) < parseMemory(memory)) {
    compilation.problems.add([...path, "maxMemory"], `is less than resources.memory (${memory})`);
  }
  return withRoom(policy, ofStep.maxDelayMs ?? ofPipeline.maxDelayMs);
}

/** What the pipeline says for all of its steps is checked once. */
export function checkPipelineRetry(compilation: Compilation): void {
  const { retry } = compilation.file;
  if (retry === undefined) return;
  checkRetry(retry, ["retry"], { ...DEFAULT_RETRY, ...partOf(retry) }, compilation);
}

function partOf(spec: RetrySpec | undefined): Partial<RetryPolicy> {
  if (spec === undefined) return {};
  if (typeof spec === "number") return { max: spec };
  const { max, delay, backoff, maxDelay, on, maxMemory, infrastructure } = spec;
  return {
    ...(max === undefined ? {} : { max }),
    ...(delay === undefined ? {} : { delayMs: parseDuration(delay) }),
    ...(backoff === undefined ? {} : { backoff }),
    ...(maxDelay === undefined ? {} : { maxDelayMs: parseDuration(maxDelay) }),
    ...(on === undefined ? {} : { on }),
    ...(maxMemory === undefined ? {} : { maxMemoryBytes: parseMemory(maxMemory) }),
    ...(infrastructure === undefined ? {} : { infrastructureMax: infrastructure }),
  };
}

/** Who asks for a longer pause than the default limit, and names no limit, gets that pause. */
function withRoom(policy: RetryPolicy, maxDelayMs: number | undefined): RetryPolicy {
  return maxDelayMs === undefined ? { ...policy, maxDelayMs: Math.max(policy.maxDelayMs, policy.delayMs) } : policy;
}

function checkRetry(spec: RetrySpec, path: Path, policy: RetryPolicy, { problems }: Compilation): void {
  if (typeof spec === "number") return;
  if (spec.maxDelay !== undefined && policy.maxDelayMs < policy.delayMs) {
    problems.add([...path, "maxDelay"], "is shorter than the delay before the first retry");
  }
  const seen = new Set<string>();
  for (const [index, kind] of (spec.on ?? []).entries()) {
    const why = seen.has(kind) ? `${quote(kind)} is listed twice` : problemOf(kind);
    if (why !== null) problems.add([...path, "on", index], why);
    seen.add(kind);
  }
}

function problemOf(kind: string): string | null {
  const faultClass = FaultClass.options.find((one) => one === kind) ?? classOf(kind);
  if (faultClass === null) {
    const known = [...FaultClass.options, ...Object.keys(FAULTS)];
    return `there is no fault class or code ${quote(kind)}${didYouMean(kind, known)}`;
  }
  const never = NEVER[faultClass];
  return never === undefined ? null : `${quote(kind)} is never tried again: ${never}`;
}

function classOf(code: string): FaultClass | null {
  return Object.hasOwn(FAULTS, code) ? FAULTS[code as FaultCode].class : null;
}
