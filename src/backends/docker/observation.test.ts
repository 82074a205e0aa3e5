import assert from "node:assert/strict";
import { describe, test } from "node:test";
import type { ContainerState, InspectedContainer } from "./engine-types.ts";
import { type ControlFacts, observationWithoutRecord } from "./observation.ts";

type State = InspectedContainer["State"];

const NEW: ControlFacts = { cancel: null, toldToGo: false, claimed: false, started: false };
const TOLD: ControlFacts = { ...NEW, toldToGo: true };
const CLAIMED: ControlFacts = { ...TOLD, claimed: true };
const STARTED: ControlFacts = { ...CLAIMED, started: true };
const CANCEL = { graceMs: 1000, reason: "user" };

function container(Status: ContainerState, change: Partial<State> = {}): State {
  return { Status, OOMKilled: false, Pid: 0, ExitCode: 0, Error: "", StartedAt: "", ...change };
}

/** `state/userCode/outcome/fault`: what a caller acts on. */
function told(control: ControlFacts, engine: State | null): string {
  const { state, userCode, outcome } = observationWithoutRecord(control, engine);
  return [state, userCode, ...(outcome ? [outcome.state, outcome.fault?.code ?? "-"] : [])].join(" ");
}

describe("an attempt without a record", () => {
  const cases: [string, ControlFacts, State | null, string][] = [
    ["created, not told to go, is held", NEW, container("created"), "held never"],
    ["running, not told to go, is held", NEW, container("running"), "held never"],
    ["created and told is starting", TOLD, container("created"), "starting never"],
    ["running and told may have begun", TOLD, container("running"), "starting unknown"],
    ["claimed is starting until exec succeeded", CLAIMED, container("running"), "starting unknown"],
    ["started is running", STARTED, container("running"), "running started"],
    ["paused is running", STARTED, container("paused"), "running started"],
    ["missing before the claim never ran", TOLD, null, "terminal never lost vanished"],
    ["missing after the claim may have run", CLAIMED, null, "terminal unknown lost vanished"],
    ["missing after the start ran", STARTED, null, "terminal started lost vanished"],
    [
      "cancelled before anything started never ran",
      { ...TOLD, cancel: CANCEL },
      null,
      "terminal never cancelled cancelled",
    ],
    [
      "cancelled while created never runs",
      { ...NEW, cancel: CANCEL },
      container("created"),
      "terminal never cancelled cancelled",
    ],
    [
      "cancelled while running is still running",
      { ...STARTED, cancel: CANCEL },
      container("running"),
      "running started",
    ],
    [
      "killed from outside is lost",
      STARTED,
      container("exited", { ExitCode: 137 }),
      "terminal started lost deleted-externally",
    ],
    [
      "found dead by the engine is lost",
      STARTED,
      container("dead", { ExitCode: 255 }),
      "terminal started lost deleted-externally",
    ],
    [
      "killed with all in it by the memory limit is oom",
      STARTED,
      container("exited", { ExitCode: 137, OOMKilled: true }),
      "terminal started failed oom",
    ],
    [
      "killed from outside after our cancel is ours",
      { ...STARTED, cancel: CANCEL },
      container("exited", { ExitCode: 137 }),
      "terminal started cancelled cancelled",
    ],
    ["ended before the claim never ran", TOLD, container("exited", { ExitCode: 137 }), "terminal never lost vanished"],
    [
      "a shim that could not write never ran anything",
      TOLD,
      container("exited", { ExitCode: 125 }),
      "terminal never failed stage-io",
    ],
    [
      "an exit code of the engine counts",
      STARTED,
      container("exited", { ExitCode: 3 }),
      "terminal started failed exit-nonzero",
    ],
    ["exit 0 of the engine is evidence", STARTED, container("exited"), "terminal started succeeded -"],
  ];
  for (const [title, control, engine, expected] of cases) {
    test(title, () => assert.equal(told(control, engine), expected));
  }
});
