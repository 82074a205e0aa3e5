import { join } from "node:path";
import type { AttemptResult, RuntimeContext, StopReason } from "../../runtime/attempt-work.ts";
import { BlobCache } from "../../runtime/blob-cache.ts";
import type { Visit } from "../../runtime/enter-attempt.ts";
import { runAttempt } from "../../runtime/run-attempt.ts";
import { listArtifactsOfRun } from "../api/artifacts.ts";
import { blobFetcher } from "../api/blobs.ts";
import type { ApiClient } from "../api/client.ts";
import type { CliContext, LocalBackend } from "../context.ts";
import { EXIT } from "../exit-code.ts";
import { runName } from "../follow/summary.ts";
import { onInterrupt } from "../on-interrupt.ts";
import type { ServerChoice } from "../platform/configured-endpoint.ts";
import { connect } from "../platform/connection.ts";
import { berthHome, homeFiles } from "../platform/home.ts";
import { localTerminal } from "../terminal/local-terminal.ts";
import { askSecrets, type SecretFiles } from "./ask-secrets.ts";
import type { StepRunReference } from "./attempt-reference.ts";
import { capabilitiesOf, chooseLocalBackend } from "./choose-local-backend.ts";
import { exitCodeOf } from "./exit-code-of.ts";
import { findAttempt, type PastAttempt } from "./find-attempt.ts";
import { outputFolder, placeOutputs } from "./local-outputs.ts";
import { ReplayLogs } from "./replay-logs.ts";
import { reportReplay, reportStart, reportVisit } from "./replay-report.ts";
import { type ReplayWork, replayWork } from "./replay-work.ts";
import { openShell } from "./shell.ts";
import { ReplayWorkspace } from "./workspace.ts";

export interface ReplayOptions extends ServerChoice {
  readonly attempt?: number | undefined;
  readonly backend?: string | undefined;
  readonly output?: string | undefined;
  readonly keep?: boolean | undefined;
  readonly rebuild?: boolean | undefined;
  readonly json?: boolean | undefined;
  /** Where the values of the step's secrets are. */
  readonly secret?: SecretFiles | undefined;
  /** Opens a shell in the place of the step. */
  readonly shell?: boolean | undefined;
  /** In place of the step's own command; empty is that. */
  readonly argv: readonly string[];
}

/** Inputs that were fetched stay for the next replay, up to this. */
const CACHE_MAX_BYTES = 5 * 1024 ** 3;
/** As an agent has them by default. */
const LIMITS = { outputBytesMax: 50 * 1024 ** 3, outputEntriesMax: 1_000_000 };

/** Runs a past attempt again on this machine and returns what the command is to exit with. */
export async function replayAttempt(
  context: CliContext,
  reference: StepRunReference,
  options: ReplayOptions,
): Promise<number> {
  const { api } = await connect(context, options);
  const past = await findAttempt(api, reference, options.attempt ?? null);
  const { run, stepRun, attempt } = past;
  const folder = outputFolder(options.output, { run: runName(run), stepRun: stepRun.key });
  const { replays, replayCache } = homeFiles(berthHome(context.env));
  const backends = await context.programs.loadBackends(berthHome(context.env));
  const local = chooseLocalBackend(backends, { wanted: options.backend, ranOn: attempt.backend });
  const blobs = await BlobCache.open({ folder: replayCache, budgetBytes: CACHE_MAX_BYTES });
  await using workspace = await ReplayWorkspace.open(replays, backends);
  const stop = new AbortController();
  const replay = new Replay({ context, api, past, local, workspace, blobs, options, signal: stop.signal });
  using _interrupt = onInterrupt((count, signal) => {
    // It is meant for what runs in the foreground, which hears of it, too.
    if (replay.isEntered && signal === "SIGINT") return;
    context.console.note(count === 1 ? "stopping; Ctrl-C again kills it" : "killing it");
    if (count === 1) stop.abort({ kind: "cancel", reason: "user", fault: null } satisfies StopReason);
    else void replay.kill();
  });
  try {
    const { end, made } = await replay.run();
    const before = await listArtifactsOfRun(api, run.id, { step: stepRun.step });
    const outputs = await placeOutputs(end.outputs, {
      cache: replay.cache,
      folder,
      before: before.filter((version) => version.stepRun === stepRun.key),
    });
    const kept = options.keep === true ? await workspace.keep() : null;
    const left = { folder, outputs, kept };
    if ("outcome" in end) {
      const report = { past, backend: local.backend.name, made, result: end, ...left };
      reportReplay(context.console, report, options.json === true);
    } else {
      reportVisit(context.console, end, left);
    }
    if (stop.signal.aborted) return EXIT.interrupted;
    return "outcome" in end ? exitCodeOf(end.outcome) : end.exitCode;
  } catch (error) {
    if (!stop.signal.aborted) throw error;
    return EXIT.interrupted;
  }
}

interface ReplayParts {
  readonly context: CliContext;
  readonly api: ApiClient;
  readonly past: PastAttempt;
  readonly local: LocalBackend;
  readonly workspace: ReplayWorkspace;
  readonly blobs: BlobCache;
  readonly options: ReplayOptions;
  readonly signal: AbortSignal;
}

/** One replay under way. */
class Replay {
  readonly cache: RuntimeContext["cache"];
  readonly #parts: ReplayParts;
  #kill: () => Promise<void> = async () => {};
  #isEntered = false;

  constructor(parts: ReplayParts) {
    this.#parts = parts;
    this.cache = parts.blobs.sourceOf(blobFetcher(parts.api));
  }

  /** Whether a person's keys go to a program in the place of the step. */
  get isEntered(): boolean {
    return this.#isEntered;
  }

  async run(): Promise<{ end: AttemptResult | Visit; made: ReplayWork }> {
    const { context, api, past, local, workspace, options, signal } = this.#parts;
    const { console } = context;
    const session = await workspace.connect(local);
    const capabilities = await capabilitiesOf(local.backend.name, session);
    reportStart(console, past, local.backend.name);
    const values = await askSecrets(process, past.step.secrets ?? [], options.secret ?? new Map());
    const secrets = { valuesFor: async () => values };
    // Nothing leaves this terminal, and whoever replays a step sees what it does.
    const mask = (text: string) => text;
    const runtime: RuntimeContext = { session, capabilities, cache: this.cache, limits: LIMITS, secrets, mask };
    const made = await replayWork({
      ...{ api, past, runtime, session, workspace, signal, sdk: join(context.root, "sdk") },
      rebuild: options.rebuild === true,
      onLog: (chunk) => console.writeNote(chunk),
      note: (line) => console.note(`${console.noteStyle.yellow("warning:")} ${line}`),
    });
    if (options.shell === true) return { made, end: await this.#enter(runtime, made) };
    const [program, ...rest] = options.argv;
    const spec = program === undefined ? made.work.spec : { ...made.work.spec, argv: [program, ...rest] as const };
    const logs = new ReplayLogs(session, console, { asNotes: options.json === true });
    const hooks = {
      onPhase: () => {},
      onSubmitted: (handle: Parameters<ReplayLogs["follow"]>[0]) => {
        this.#kill = () => session.release(handle, { force: true });
        logs.follow(handle);
      },
    };
    const result = await runAttempt(runtime, { ...made.work, spec }, hooks, signal);
    if (result.handle !== null) await logs.ended();
    return { end: result, made };
  }

  async #enter(runtime: RuntimeContext, { work }: ReplayWork): Promise<Visit> {
    const { context, past, local, options, signal } = this.#parts;
    const terminal = localTerminal();
    this.#isEntered = terminal.isInteractive;
    const { console, env } = context;
    const shell = { terminal, console, env, signal, step: past.step, backend: local.backend.name, argv: options.argv };
    return openShell(runtime, work, shell);
  }

  /** At once, without the time that a step has to end by itself. */
  async kill(): Promise<void> {
    await this.#kill().catch(() => {});
  }
}
