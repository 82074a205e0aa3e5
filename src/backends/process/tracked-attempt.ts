import { existsSync } from "node:fs";
import { wasClaimed, wasToldToGo } from "../../shim/control-folder.ts";
import type { ShimProcess } from "../../shim/launcher.ts";
import { readRecord } from "../../shim/read-record.ts";
import { CTL } from "../../shim/shim.ts";
import type { Handle, Observation } from "../execution-backend.ts";
import { lostOutcome } from "../outcomes.ts";
import { recordObservation } from "../record-outcome.ts";
import type { Claim } from "./claims.ts";
import { isShimOf } from "./proc.ts";

/** From claim to process takes milliseconds; a claim this old without a process was left by an agent that died. */
const ABANDONED_AFTER_MS = 10_000;

export interface Sight {
  /** The claim that is on disk, read when it is needed; null when the attempt was never submitted, or was released. */
  readonly claim: Claim | null;
  /** Shims found by looking at all processes, by control folder; computed only when it is needed. */
  readonly shims: () => ReadonlyMap<string, number>;
}

/** What one session knows of one attempt, so that it need not look again: the child, the pid, the end. */
export class TrackedAttempt {
  readonly handle: Handle;
  /** Once the claim was made or read. */
  specHash: string | null = null;
  #launching: Promise<ShimProcess> | null = null;
  #child: ShimProcess | null = null;
  /** Of a shim that another process started. */
  #adoptedPid: number | null = null;
  #started = false;
  #terminal: Observation | null = null;

  constructor(handle: Handle) {
    this.handle = handle;
  }

  get controlFolder(): string {
    return `${this.handle.folder}/ctl`;
  }

  get terminal(): Observation | null {
    return this.#terminal;
  }

  /** Started by this very process: its end is told by an event. */
  get isChild(): boolean {
    return this.#child !== null;
  }

  /** The start that is under way, by this very process. */
  get launching(): Promise<unknown> | null {
    return this.#launching;
  }

  /** Running, but started by another process: its end has to be looked for. */
  get isAdopted(): boolean {
    return this.#adoptedPid !== null && this.#terminal === null;
  }

  /** `launched` is the shim that this process starts just now; `onEnd` is called when it may have ended. */
  async own(launched: Promise<ShimProcess>, onEnd: () => void): Promise<void> {
    this.#launching = launched;
    try {
      const child = await launched;
      this.#child = child;
      child.onEnd(() => {
        if (this.#child === child) this.#child = null;
        onEnd();
      });
    } finally {
      this.#launching = null;
    }
  }

  /** The pid of the running shim; null when there is none. Looks at the platform, not at what was last seen. */
  pid(shims: () => ReadonlyMap<string, number>): number | null {
    if (this.#child !== null) return this.#child.pid;
    if (this.#adoptedPid !== null && isShimOf(this.#adoptedPid, this.controlFolder)) return this.#adoptedPid;
    this.#adoptedPid = shims().get(this.controlFolder) ?? null;
    return this.#adoptedPid;
  }

  observe(sight: Sight): Observation {
    if (this.#terminal !== null) return this.#terminal;
    if (this.#child !== null || this.#launching !== null) return this.#alive();
    const recorded = this.#recorded(sight);
    if (recorded !== null) return recorded;
    if (this.pid(sight.shims) !== null) return this.#alive();
    // It may have ended between the two looks: nothing is written after the process is gone.
    return this.#recorded(sight) ?? this.#gone(sight);
  }

  #alive(): Observation {
    this.#started ||= existsSync(`${this.controlFolder}/${CTL.started}`);
    if (this.#started) return { state: "running", userCode: "started" };
    if (!wasToldToGo(this.controlFolder)) return { state: "held", userCode: "never" };
    return { state: "starting", userCode: "unknown" };
  }

  #recorded(sight: Sight): Observation | null {
    const record = readRecord(this.controlFolder);
    if (record !== null) this.#terminal = recordObservation(record, () => sight.claim?.argv0 ?? null);
    return this.#terminal;
  }

  #gone(sight: Sight): Observation {
    if (wasClaimed(this.controlFolder)) {
      this.#started ||= existsSync(`${this.controlFolder}/${CTL.started}`);
      this.#terminal = lost(this.#started ? "started" : "unknown", "The process that watched the step is gone");
      return this.#terminal;
    }
    const { claim } = sight;
    // Another process may be between its claim and its launch.
    if (claim !== null && Date.now() - claim.createdAtMs < ABANDONED_AFTER_MS) {
      return { state: "starting", userCode: "never" };
    }
    // Not kept: whoever submits now does start it.
    return lost(claim === null ? "unknown" : "never", "There is no process of the attempt");
  }
}

function lost(userCode: Observation["userCode"], what: string): Observation {
  const outcome = lostOutcome(`${what} and left no record; it was killed, or the machine was restarted.`);
  return { state: "terminal", userCode, outcome };
}
