import type { AgentEventBody } from "../../protocol/events.ts";
import type { StepContract } from "./step-contracts.ts";

type AttemptFinished = Extract<AgentEventBody, { type: "attempt.finished" }>;

/** Holds what an attempt hands in against what its step declares: nothing missing, nothing else, nothing twice. */
export function checkOutputs(contract: StepContract, event: AttemptFinished, refuse: (why: string) => never): void {
  const given = new Set<string>();
  for (const { name } of event.outputs) {
    const declared = contract.outputs.get(name);
    if (declared === undefined) refuse(`its step declares no output "${name}"`);
    else if (given.has(name)) refuse(`output "${name}" is there twice`);
    else if (event.state !== "succeeded" && declared.when !== "always") {
      refuse(`output "${name}" is kept after a success only`);
    }
    given.add(name);
  }
  if (event.state !== "succeeded") return;
  for (const [name, { optional }] of contract.outputs) {
    if (!optional && !given.has(name)) refuse(`output "${name}" is missing`);
  }
}
