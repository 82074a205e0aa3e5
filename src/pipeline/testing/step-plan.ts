import { DEFAULT_RETRY, type StepPlan } from "../../protocol/plan.ts";

interface StepOptions extends Partial<Pick<StepPlan, "phase" | "allowFailure" | "failFast" | "inputs">> {
  /** Steps whose state decides; there is no expression. */
  readonly decidedBy?: readonly string[];
  readonly needs?: readonly string[];
  readonly matrix?: StepPlan["matrix"];
  /** Items at once, for a batch step. */
  readonly parallel?: number;
}

/** A step that does nothing, for graphs. */
export function step(
  name: string,
  { needs = [], matrix = null, parallel, decidedBy, ...more }: StepOptions = {},
): StepPlan {
  const over = { step: needs[0] ?? "", artifact: "out", gather: "single", format: "lines", size: 1 } as const;
  return {
    name,
    environment: "default",
    needs: [...needs],
    matrix,
    batch: parallel === undefined ? null : { ...over, parallel },
    action: { kind: "command", argv: ["true"] },
    env: {},
    inputs: {},
    outputs: {},
    resources: { cpu: null, memoryBytes: null, timeoutMs: null, queueTimeoutMs: null, imageTimeoutMs: null },
    retry: DEFAULT_RETRY,
    cache: null,
    phase: "main",
    when: decidedBy === undefined ? null : { expression: "", steps: [...decidedBy], reads: [] },
    allowFailure: false,
    failFast: null,
    network: "run",
    ...more,
  };
}
