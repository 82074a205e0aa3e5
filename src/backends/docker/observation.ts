import { fault } from "../../protocol/faults.ts";
import type { CancelIntent } from "../../shim/control-folder.ts";
import type { CancelOptions, Observation, Outcome } from "../execution-backend.ts";
import { endedOutcome, lostOutcome, neverStartedOutcome, stoppedOutcome } from "../outcomes.ts";
import type { InspectedContainer } from "./engine-types.ts";

/** What the control folder of an attempt without a record says. */
export interface ControlFacts {
  readonly cancel: CancelIntent | null;
  readonly toldToGo: boolean;
  readonly claimed: boolean;
  readonly started: boolean;
}

type State = InspectedContainer["State"];

/** Exit codes of a container that say how the shim ended, since it left no record. */
const SHIM_FAILED = 125;
const KILLED = 137;
/** What the engine writes down for a container that it found dead. */
const UNKNOWN = 255;

/** What is true of an attempt that left no record, from its control folder and its container (null: there is none). */
export function observationWithoutRecord(control: ControlFacts, state: State | null): Observation {
  const { cancel, toldToGo, claimed, started } = control;
  // Nothing runs that could still start: the intent alone decides.
  const isStill = state === null || state.Status === "created" || isOver(state);
  if (cancel !== null && !claimed && isStill) return terminal("never", stoppedOutcome(reasonOf(cancel)));
  if (state === null) return terminal(userCodeOf(control), goneOutcome(control));
  if (isOver(state)) return terminal(userCodeOf(control), endedWithoutRecord(control, state));
  if (started) return { state: "running", userCode: "started" };
  if (!toldToGo) return { state: "held", userCode: "never" };
  return { state: "starting", userCode: state.Status === "created" ? "never" : "unknown" };
}

function isOver({ Status }: State): boolean {
  return Status === "exited" || Status === "dead" || Status === "removing";
}

function userCodeOf({ claimed, started }: ControlFacts): Observation["userCode"] {
  if (started) return "started";
  return claimed ? "unknown" : "never";
}

function terminal(userCode: Observation["userCode"], outcome: Outcome): Observation {
  return { state: "terminal", userCode, outcome };
}

function goneOutcome({ toldToGo }: ControlFacts): Outcome {
  return toldToGo
    ? lostOutcome("The container was removed by something other than Berth, and left no record of how it ended.")
    : lostOutcome("There is no container of the attempt, and no record of one.");
}

function endedWithoutRecord({ cancel, claimed }: ControlFacts, state: State): Outcome {
  const evidence = `container ${state.Status}, exit code ${state.ExitCode}${state.Error === "" ? "" : `: ${state.Error}`}`;
  if (!claimed) {
    if (state.ExitCode !== SHIM_FAILED) return lostOutcome("The container ended before the command began.", evidence);
    const why = "The container could not write to the control folder of the attempt.";
    return neverStartedOutcome(fault("stage-io", why, { evidence }));
  }
  const ending = {
    exitCode: state.ExitCode,
    signal: null,
    oomKills: state.OOMKilled ? 1 : 0,
    stats: {},
    warnings: ["The step left no record; its end is what the engine says."],
  };
  if (cancel !== null) return endedOutcome(ending, reasonOf(cancel));
  if (state.OOMKilled) return endedOutcome(ending, null);
  if (state.ExitCode === KILLED || state.ExitCode === UNKNOWN) {
    const why =
      "The container was killed by something other than Berth, or ended together with the engine or the host.";
    return { ...lostOutcome(why, evidence), fault: fault("deleted-externally", why, { evidence }) };
  }
  return endedOutcome(ending, null);
}

const REASONS: readonly string[] = [
  ...(["user", "fenced", "shutdown"] as const),
  ...(["deadline-run", "disk-exceeded", "disk-full"] as const),
] satisfies CancelOptions["reason"][];

/** A reason that this version does not know is still a stop by Berth's hand. */
function reasonOf({ reason }: CancelIntent): CancelOptions["reason"] {
  return REASONS.includes(reason) ? (reason as CancelOptions["reason"]) : "user";
}
