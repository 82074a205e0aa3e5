import { AsyncResource } from "node:async_hooks";
import {
  type AttemptRef,
  type AttemptSpec,
  BackendError,
  type BackendOptions,
  type BackendSession,
  type ExecutionBackend,
} from "../../src/backends/execution-backend.ts";
import type { MemoryBackend } from "../../src/backends/memory/memory-backend.ts";
import { objectName } from "../../src/backends/object-name.ts";
import { fault } from "../../src/protocol/faults.ts";
import { setTimeout as sleep } from "./world/node-timers-promises.ts";
import { runIn, scheduler } from "./world/virtual-time.ts";

/** What the platform does to calls at the moment. */
export interface PlatformState {
  up: boolean;
  /** The longest that the way to it, and back, takes. */
  readonly wayMaxMs: number;
  /** When it last did not answer. */
  refusedAtMs: number;
  /** The machine lost its last moments: an object may be made a second time under the same name. */
  lostMoments: boolean;
}

/**
 * The memory backend behind a platform that takes its time, so that an agent can die between a call and its answer, and
 * that may be down. What it does, it does outside of the agent's process, which it outlives.
 */
export function slowBackend(memory: MemoryBackend, state: PlatformState): ExecutionBackend {
  return {
    name: memory.name,
    open: async (options) => slowSession(await memory.open(options), memory, state, options),
  };
}

function slowSession(
  session: BackendSession,
  memory: MemoryBackend,
  state: PlatformState,
  { installation }: BackendOptions,
): BackendSession {
  const call = async <T>(act: () => Promise<T>): Promise<T> => {
    await way(state);
    const answer = await runIn(undefined, act);
    await way(state);
    return answer;
  };
  const forgive = (ref: AttemptRef) => {
    if (state.lostMoments) memory.released.delete(objectName(installation, ref));
  };
  /** What is prepared is so before it is submitted; all else may overtake. */
  const preparing = new Map<string, Promise<void>>();
  return {
    probe: (signal) => call(() => session.probe(signal)),
    plan: (spec) => session.plan(spec),
    prepareImage: (request, onLog, signal) => call(() => session.prepareImage(request, onLog, signal)),
    prepare: (ref: AttemptRef, spec: AttemptSpec) => {
      const prepared = call(() => {
        forgive(ref);
        return session.prepare(ref, spec);
      });
      preparing.set(spec.folder, prepared);
      return prepared;
    },
    submit: async (ref: AttemptRef, spec: AttemptSpec) => {
      await preparing.get(spec.folder)?.catch(() => {});
      return call(() => {
        forgive(ref);
        return session.submit(ref, spec);
      });
    },
    attach: (ref) => call(() => session.attach(ref)),
    observe: (handles) => call(() => session.observe(handles)),
    // Hints come from the platform, and wake the agent's own process.
    watch: (onHint) => session.watch(AsyncResource.bind(onHint)),
    logs: (handle, stream, options) => session.logs(handle, stream, options),
    cancel: (handle, options) => call(() => session.cancel(handle, options)),
    stats: (handles) => call(() => session.stats(handles)),
    layerUse: (handle, most) => call(() => session.layerUse(handle, most)),
    release: (handle, options) => call(() => session.release(handle, options)),
    releaseScope: (scope) => call(() => session.releaseScope(scope)),
    list: () => session.list(),
    [Symbol.asyncDispose]: () => session[Symbol.asyncDispose](),
  };
}

async function way(state: PlatformState): Promise<void> {
  await sleep(scheduler().random.integer(1, state.wayMaxMs));
  if (state.up) return;
  state.refusedAtMs = scheduler().nowMs;
  throw new BackendError("unavailable", fault("backend-unavailable", "The platform does not answer."));
}
