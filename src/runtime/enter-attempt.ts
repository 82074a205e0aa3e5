import type { BackendSession, Terminal } from "../backends/execution-backend.ts";
import type { AttemptWork, RuntimeContext } from "./attempt-work.ts";
import { type Collected, collectOutputs } from "./collect-outputs.ts";
import { stageAttempt } from "./stage-attempt.ts";

export interface Visit extends Collected {
  readonly exitCode: number;
}

/**
 * Runs a program at a terminal in the place of an attempt, with its inputs in place, and takes the outputs that are
 * there at its end. For backends that can be entered.
 */
export async function enterAttempt(
  context: RuntimeContext & { readonly session: BackendSession & Required<Pick<BackendSession, "enter">> },
  work: AttemptWork,
  terminal: Terminal,
  signal: AbortSignal,
): Promise<Visit> {
  await stageAttempt(context, work, signal);
  const exitCode = await context.session.enter(work.ref, work.spec, terminal, signal);
  signal.throwIfAborted();
  // Whoever only looks around writes none, which is no mistake.
  const declared = Object.entries(work.outputs).map(([name, plan]) => [name, { ...plan, optional: true }] as const);
  const { cache, limits } = context;
  const collected = await collectOutputs(work.spec.folder, Object.fromEntries(declared), { cache, limits, signal });
  return { exitCode, ...collected };
}
