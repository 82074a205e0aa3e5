import type { StepState } from "../../src/protocol/states.ts";
import type { Ledger } from "./ledger.ts";

/**
 * What the runs of a chaos run do: small pipelines that between them use everything that a step can be, whose steps tell
 * the ledger what they do. Each says how it has to end, so that the judge needs to know nothing of pipelines.
 */

export type Backend = "process" | "docker";

/** Lines that each step logs; the judge looks for each of them, once and in order. */
export const LOG_LINES = 40;
/** Lines of each output; the batch below splits by them. */
const OUTPUT_LINES = 40;
/** Every kind of run on two backends comes again after so many; so each result is made once, and taken once. */
const RUNS_PER_ROUND = 16;

export interface Workload {
  readonly pipeline: object;
  readonly params: Readonly<Record<string, unknown>>;
  readonly backend: Backend;
  /** How it is to end if nobody cancels it. */
  readonly expected: "succeeded" | "failed";
  /** And how each of its step runs is to end then. */
  readonly steps: Readonly<Record<string, StepState>>;
  /** Step runs that succeed in any case, after a cancel too. */
  readonly inAnyCase: readonly string[];
  /** Step runs that may succeed without an attempt: by the result of an earlier run, or as a batch of such. */
  readonly withoutAttempt: readonly string[];
}

export interface WorkloadOptions {
  readonly ledger: Ledger;
  readonly backend: Backend;
  /** Image of the steps in Docker. */
  readonly image: string;
  /** Number of the run: its kind follows from it. */
  readonly count: number;
}

/** By turns a graph of data and one of control flow; of the latter every other one fails by its own doing. */
export function workload(options: WorkloadOptions): Workload {
  const { count } = options;
  if (count % 2 === 0) return dataFlow(options);
  return controlFlow(options, { fails: count % 4 === 3, odd: Math.floor(count / RUNS_PER_ROUND) % 2 === 1 });
}

/** A matrix and a batch, and a step that gathers what both made. */
function dataFlow({ ledger, backend, image }: WorkloadOptions): Workload {
  const step = (seconds: number) => ({ run: script(ledger, backend, seconds), outputs: { out: "out" } });
  return {
    backend,
    params: {},
    expected: "succeeded",
    steps: {
      ...{ first: "succeeded", "wide[side=left]": "succeeded", "wide[side=right]": "succeeded" },
      ...{ parts: "succeeded", "parts[0]": "succeeded", "parts[1]": "succeeded", last: "succeeded" },
    },
    inAnyCase: [],
    withoutAttempt: ["parts"],
    pipeline: {
      name: `chaos-data-${backend}`,
      environment: { image: backend === "docker" ? image : "none" },
      steps: {
        first: step(0.3),
        wide: { ...step(0.5), matrix: { side: ["left", "right"] }, inputs: { first: "first.out" } },
        parts: { ...step(0.2), batch: { over: "first.out", size: OUTPUT_LINES / 2, parallel: 2 } },
        last: { ...step(0.1), inputs: { wide: "wide.out", parts: { from: "parts.out", gather: "lines" } } },
      },
    },
  };
}

/** A step that fails before it succeeds, one with a condition, one with a cache, and steps for after the end. */
function controlFlow(
  { ledger, backend, image, count }: WorkloadOptions,
  { fails, odd }: { readonly fails: boolean; readonly odd: boolean },
): Workload {
  const step = (seconds: number, more = "") => ({
    run: `${script(ledger, backend, seconds)}${more}`,
    outputs: { out: "out" },
  });
  return {
    backend,
    params: { odd, round: Math.floor(count / RUNS_PER_ROUND) },
    expected: fails ? "failed" : "succeeded",
    steps: {
      ...{ shaky: "succeeded", taken: "succeeded", choice: odd ? "succeeded" : "skipped" },
      ...{ last: fails ? "failed" : "succeeded", alarm: fails ? "succeeded" : "skipped", close: "succeeded" },
    },
    inAnyCase: ["close"],
    withoutAttempt: ["taken"],
    pipeline: {
      name: `chaos-flow-${backend}${fails ? "-fails" : ""}`,
      environment: { image: backend === "docker" ? image : "none" },
      params: { odd: false, round: 0 },
      steps: {
        shaky: { ...step(0.2, '\n[ "$BERTH_ATTEMPT" != 1 ]'), retry: { max: 4, delay: "200ms" } },
        taken: { ...step(0.3), cache: true },
        choice: { ...step(0.1), when: "params.odd", inputs: { taken: "taken.out" } },
        last: { ...step(0.1, fails ? "\nexit 65" : ""), inputs: { shaky: "shaky.out", taken: "taken.out" } },
        alarm: { ...step(0.1), phase: "on_failure" },
        close: { ...step(0.1), phase: "finally" },
      },
    },
  };
}

/** Says that it begins, works while it says that it still does, writes its output, and says what that was. */
function script(ledger: Ledger, backend: Backend, seconds: number): string {
  const words = "$1 $BERTH_RUN_ID $BERTH_STEP_RUN $BERTH_ATTEMPT $epoch $life $2";
  const tell =
    backend === "process"
      ? `tell() { echo "${words}" >>${ledger.file}; }`
      : `gate=$(ip route | awk '/default/ { print $3 }')
tell() { until echo "${words}" | nc -w 5 "$gate" ${ledger.port} | grep -q ok; do sleep 0.2; done; }`;
  // A step is not told its lease; the attempt's folder is named for it, as a path or as what is mounted.
  return `life=$(cat /proc/sys/kernel/random/uuid)
epoch=$({ echo "$BERTH_OUT"; cat /proc/self/mountinfo; } | grep -o 'attempts/run_[0-9a-z]*\\.[0-9]*' | head -n 1 | sed 's/.*\\.//')
${tell}
tell begin
i=0; while [ $i -lt ${LOG_LINES} ]; do echo "line $i"; i=$((i + 1)); [ $((i % 10)) != 0 ] || { tell beat; sleep ${seconds / 4}; }; done
{ i=0; while [ $i -lt ${OUTPUT_LINES} ]; do echo "$BERTH_STEP_RUN $life $i"; i=$((i + 1)); done; } >"$BERTH_OUT/out"
tell end "$(sha256sum <"$BERTH_OUT/out" | cut -d' ' -f1)"`;
}
