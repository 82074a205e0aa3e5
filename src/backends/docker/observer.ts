import { join } from "node:path";
import { readCancel, readStarted, wasClaimed, wasToldToGo } from "../../shim/control-folder.ts";
import { readRecord } from "../../shim/read-record.ts";
import type { ShimRecord } from "../../shim/shim.ts";
import type { BackendError, Handle, Observation } from "../execution-backend.ts";
import { recordObservation } from "../record-outcome.ts";
import type { AttemptNotes } from "./attempt-notes.ts";
import type { Engine } from "./engine.ts";
import { isStatus, toBackendError } from "./engine-error.ts";
import type { InspectedContainer } from "./engine-types.ts";
import { IS_ATTEMPT, ofInstallation } from "./labels.ts";
import { observationWithoutRecord } from "./observation.ts";

type State = InspectedContainer["State"];

/** Above this, one list of all containers is cheaper than asking about each. */
const INSPECTED_ONE_BY_ONE_MAX = 3;

export interface ObserverOptions {
  readonly installation: string;
  readonly notes: AttemptNotes;
  readonly engine: () => Promise<Engine>;
}

/** Finds out what is true of attempts: from the record where there is one, else from the engine. */
export class Observer {
  readonly #options: ObserverOptions;

  constructor(options: ObserverOptions) {
    this.#options = options;
  }

  async observe(handles: readonly Handle[]): Promise<Map<string, Observation | BackendError>> {
    const seen = new Map<string, Observation | BackendError>();
    const open = handles.filter((handle) => {
      const known = this.#known(handle);
      if (known !== null) seen.set(handle.name, known);
      return known === null;
    });
    if (open.length === 0) return seen;
    const running = open.length > INSPECTED_ONE_BY_ONE_MAX ? await this.#running(open) : NOTHING_KNOWN;
    await Promise.all(open.map(async (handle) => seen.set(handle.name, await this.#ask(handle, running))));
    return seen;
  }

  /** The end, where no engine is needed to know it. */
  #known({ name, folder }: Handle): Observation | null {
    const record = readRecord(join(folder, "ctl"));
    if (record !== null && !needsEngine(record)) return recordObservation(record, () => this.#argv0(name));
    return this.#options.notes.read(name)?.verdict ?? null;
  }

  async #ask(handle: Handle, running: ReadonlyMap<string, State>): Promise<Observation | BackendError> {
    try {
      const state = running.get(handle.name) ?? (await this.#inspect(handle.name));
      const ctl = join(handle.folder, "ctl");
      const control = {
        cancel: readCancel(ctl),
        toldToGo: wasToldToGo(ctl),
        claimed: wasClaimed(ctl),
        started: readStarted(ctl) !== null,
      };
      // Read again after the engine was asked: what a container that is over by now wrote, it had written before.
      const record = readRecord(ctl);
      const observation =
        record === null
          ? observationWithoutRecord(control, state)
          : recordObservation(withEngine(record, state), () => this.#argv0(handle.name));
      if (observation.state === "terminal" && (record === null || needsEngine(record))) this.#keep(handle, observation);
      return observation;
    } catch (error) {
      return toBackendError(error, `look at the container of ${handle.name}`);
    }
  }

  /** What was told once stays, whatever becomes of the container. */
  #keep({ name }: Handle, verdict: Observation): void {
    const note = this.#options.notes.read(name);
    if (note !== null && note.verdict === undefined) this.#options.notes.write(name, { ...note, verdict });
  }

  async #running(handles: readonly Handle[]): Promise<ReadonlyMap<string, State>> {
    try {
      const labels = [ofInstallation(this.#options.installation), IS_ATTEMPT];
      const listed = await (await this.#options.engine()).listContainers(labels);
      const wanted = new Set(handles.map(({ name }) => name));
      const named = listed.map((container) => [container.Names[0]?.slice(1) ?? "", container.State] as const);
      const running = named.filter(([name, state]) => state === "running" && wanted.has(name));
      return new Map(running.map(([name]) => [name, RUNNING]));
    } catch {
      // Each is then asked about by itself, and each gets its own answer or error.
      return NOTHING_KNOWN;
    }
  }

  async #inspect(name: string): Promise<State | null> {
    try {
      return (await (await this.#options.engine()).inspectContainer(name)).State;
    } catch (error) {
      if (isStatus(error, 404)) return null;
      throw error;
    }
  }

  #argv0(name: string): string | null {
    return this.#options.notes.read(name)?.argv0 ?? null;
  }
}

const NOTHING_KNOWN: ReadonlyMap<string, State> = new Map();

const RUNNING: State = { Status: "running", OOMKilled: false, Pid: 0, ExitCode: 0, Error: "", StartedAt: "" };

/** A failure that may be due to the memory limit, where the shim saw no count of what that killed. */
function needsEngine({ oomKills, started, exit, cancel }: ShimRecord): boolean {
  return oomKills === null && started && exit !== 0 && cancel === null;
}

function withEngine(record: ShimRecord, state: State | null): ShimRecord {
  return needsEngine(record) && state?.OOMKilled === true ? { ...record, oomKills: 1 } : record;
}
