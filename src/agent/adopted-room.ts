import type { Logger } from "pino";
import type { AttemptWork } from "../runtime/attempt-work.ts";
import { type Reservation, readReservation } from "../runtime/reservation.ts";
import type { OpenBackend } from "./agent-context.ts";
import { isUnderWay, type RunHistory } from "./run-history.ts";
import type { StepSlots } from "./step-slots.ts";

/**
 * Room that earlier processes of this agent gave away, and that is still taken: found again by the labels of the objects
 * that run, whether or not a journal knows them. Each backend is asked when it first answers, since an engine may come
 * up after its agent, and after that only while something runs there that no run of this process drives.
 */
export class AdoptedRoom {
  readonly #slots: StepSlots;
  readonly #log: Logger;
  /** What is younger was begun by this process, which has entered it itself. */
  readonly #startedAtMs: number;
  readonly #asked = new Set<string>();

  constructor(slots: StepSlots, log: Logger, startedAtMs = Date.now()) {
    this.#slots = slots;
    this.#log = log;
    this.#startedAtMs = startedAtMs;
  }

  async refresh(backends: ReadonlyMap<string, OpenBackend>): Promise<void> {
    const undriven = this.#slots.undriven;
    for (const [name, { session, healthy }] of backends) {
      if (!healthy || (this.#asked.has(name) && !undriven.has(name))) continue;
      try {
        const listed = await Array.fromAsync(session.list());
        const running = listed.filter(({ running: runs, createdAtMs }) => runs && createdAtMs < this.#startedAtMs);
        if (!this.#asked.has(name)) {
          for (const { handle, labels } of running) {
            const reserved = readReservation(labels);
            if (reserved !== null) this.#slots.adopt(name, handle.ref, reserved);
          }
          this.#asked.add(name);
        }
        this.#slots.keepOnly(
          name,
          running.map(({ handle }) => handle.ref),
        );
      } catch (error) {
        this.#log.warn({ err: error, backend: name }, "what still runs there could not be looked for");
      }
    }
  }
}

/**
 * What a run has under way, whether or not its object is there yet: entered for all runs before any of them goes on, or
 * one could get the GPU that another was about to start with.
 */
export function enterUnderWay(
  slots: StepSlots,
  { backend, attempts }: Pick<RunHistory, "backend" | "attempts">,
  backends: ReadonlyMap<string, OpenBackend>,
): void {
  // On a backend that is not there any more nobody could be asked whether it has ended.
  if (backend === null || !backends.has(backend)) return;
  for (const attempt of [...attempts.values()].flat().filter(isUnderWay)) enter(slots, backend, attempt.work);
}

/** A run goes on with what an earlier process began; the room is free again when that has ended. */
export function takeOverRoom(slots: StepSlots, backend: string, work: AttemptWork): Disposable {
  enter(slots, backend, work);
  return slots.drive(work.ref);
}

function enter(slots: StepSlots, backend: string, { ref, spec }: AttemptWork): void {
  slots.adopt(backend, ref, readReservation(spec.labels) ?? reservedBefore(spec));
}

/** Of an attempt that an older agent began. */
function reservedBefore({ limits }: AttemptWork["spec"]): Reservation {
  return { cpus: limits.cpus ?? 0, memoryBytes: limits.memoryBytes ?? 0, gpus: [] };
}
