import type { Ledger } from "./ledger.ts";

/** What the runs of a chaos run do: small graphs of every shape, whose steps tell the ledger what they do. */

export type Backend = "process" | "docker";

/** Lines that each step logs; the judge looks for each of them, once and in order. */
export const LOG_LINES = 40;

export interface Workload {
  readonly pipeline: object;
  readonly backend: Backend;
  /** How it is to end if nobody cancels it. */
  readonly expected: "succeeded" | "failed";
}

/** A pipeline with a chain, a matrix and a batch; `fails` makes its last step fail by its own doing. */
export function workload(ledger: Ledger, backend: Backend, image: string, fails: boolean): Workload {
  const step = (seconds: number, out = true) => script(ledger, backend, seconds, out);
  return {
    backend,
    expected: fails ? "failed" : "succeeded",
    pipeline: {
      name: `chaos-${backend}${fails ? "-fails" : ""}`,
      environment: { image: backend === "docker" ? image : "none" },
      steps: {
        first: { run: step(0.3), outputs: { out: "out" } },
        wide: {
          run: step(0.5),
          matrix: { side: ["left", "right"] },
          inputs: { first: "first.out" },
          outputs: { out: "out" },
        },
        parts: { run: step(0.2), batch: { over: "first.out", size: 20, parallel: 2 }, outputs: { out: "out" } },
        last: {
          run: `${step(0.1)}\n${fails ? "exit 65" : "true"}`,
          inputs: { wide: "wide.out", parts: { from: "parts.out", gather: "lines" } },
          outputs: { out: "out" },
        },
      },
    },
  };
}

/** Says that it begins, works while it says that it still does, writes its output, and says what that was. */
function script(ledger: Ledger, backend: Backend, seconds: number, out: boolean): string {
  const tell =
    backend === "process"
      ? `tell() { echo "$1 $BERTH_RUN_ID $BERTH_STEP_RUN $BERTH_ATTEMPT $2" >>${ledger.file}; }`
      : `gate=$(ip route | awk '/default/ { print $3 }')
tell() { until echo "$1 $BERTH_RUN_ID $BERTH_STEP_RUN $BERTH_ATTEMPT $2" | nc -w 5 "$gate" ${ledger.port} | grep -q ok; do sleep 0.2; done; }`;
  return `${tell}
tell begin
i=0; while [ $i -lt ${LOG_LINES} ]; do echo "line $i"; i=$((i + 1)); [ $((i % 10)) != 0 ] || { tell beat; sleep ${seconds / 4}; }; done
${out ? '{ i=0; while [ $i -lt 40 ]; do echo "$BERTH_STEP_RUN $BERTH_ATTEMPT $i"; i=$((i + 1)); done; } >"$BERTH_OUT/out"' : ""}
tell end "$(sha256sum <"$BERTH_OUT/out" | cut -d' ' -f1)"`;
}
