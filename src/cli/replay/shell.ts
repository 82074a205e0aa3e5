import type { Terminal } from "../../backends/execution-backend.ts";
import type { Action, StepPlan } from "../../protocol/plan.ts";
import type { AttemptWork, RuntimeContext } from "../../runtime/attempt-work.ts";
import { enterAttempt, type Visit } from "../../runtime/enter-attempt.ts";
import { usageError } from "../cli-error.ts";
import type { Console } from "../terminal/console.ts";
import { plainLines } from "../terminal/plain-text.ts";

/** The better shell of the two that an image may have. */
const SHELL = ["sh", "-c", "if command -v bash >/dev/null 2>&1; then exec bash; else exec sh; fi"] as const;

/** What a program at a terminal draws with, where nothing is known of it. */
const PLAIN_TERMINAL = "dumb";

export interface ShellOptions {
  readonly backend: string;
  readonly step: StepPlan;
  /** In place of a shell; empty is a shell. */
  readonly argv: readonly string[];
  readonly env: NodeJS.ProcessEnv;
  readonly terminal: Terminal;
  readonly console: Console;
  readonly signal: AbortSignal;
}

/** Puts the user in the place of an attempt. */
export async function openShell(
  { session, ...runtime }: RuntimeContext,
  work: AttemptWork,
  { backend, step, argv, env, terminal, console, signal }: ShellOptions,
): Promise<Visit> {
  if (session.enter === undefined) {
    throw usageError(`The backend ${backend} cannot put anybody in the place of a step.`, "Replay it without --shell.");
  }
  const [program, ...rest] = argv;
  const command = program === undefined ? SHELL : ([program, ...rest] as const);
  const drawn = terminal.isInteractive ? { TERM: env.TERM ?? PLAIN_TERMINAL } : {};
  console.note("Inputs are in $BERTH_IN, outputs go to $BERTH_OUT. The step runs:");
  for (const line of commandOf(step.action)) console.note(`  ${line}`);
  const entered = session as typeof session & Required<Pick<typeof session, "enter">>;
  const spec = { ...work.spec, argv: command, env: { ...work.spec.env, ...drawn } };
  return enterAttempt({ ...runtime, session: entered }, { ...work, spec }, terminal, signal);
}

function commandOf(action: Action): string[] {
  if (action.kind === "shell") return plainLines(action.script);
  if (action.kind === "command") return plainLines(JSON.stringify(action.argv));
  return [`${action.kind}: ${action.module}:${action.function}`];
}
