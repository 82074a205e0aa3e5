import { appendFileSync, existsSync } from "node:fs";
import { mkdir, mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout } from "node:timers/promises";
import type { BackendHarness } from "../contract/harness.ts";
import type { Action, Program } from "../contract/program.ts";
import { backendContract } from "../contract.ts";
import { cannotStart } from "./memory-attempt.ts";
import { MemoryBackend } from "./memory-backend.ts";
import type { End, Script, ScriptedStep } from "./script.ts";

const root = await mkdtemp(join(tmpdir(), "berth-memory-contract-"));
const options = { installation: "contract", stateFolder: root, settings: {} };

/** Interprets what a real backend runs as a shell script. */
const interpret: Script = (step) => {
  const [command, program] = step.spec.argv;
  return command === "program" ? run(step, JSON.parse(program!) as Program) : cannotStart(command);
};

async function run(step: ScriptedStep, program: Program): Promise<End> {
  let onTerm: Extract<Action, { do: "on-term" }> | null = null;
  const isStopped = (): boolean => step.ended.aborted || (onTerm !== null && step.term.aborted);
  const waitUntil = async (isMet: () => boolean): Promise<void> => {
    while (!isMet() && !isStopped()) await setTimeout(5);
  };
  for (const action of program) {
    if (action.do === "exit") return { exit: action.code };
    if (action.do === "print") step.print(action.text, action.stream);
    if (action.do === "append") appendFileSync(join(step.spec.folder, "out", action.file), action.text);
    if (action.do === "ignore-term" || action.do === "on-term") step.handleTerm();
    if (action.do === "on-term") onTerm = action;
    if (action.do === "await") await waitUntil(() => existsSync(join(step.spec.folder, "out", action.file)));
    if (action.do === "hang") await waitUntil(() => false);
    if (step.ended.aborted) break;
    if (onTerm !== null && step.term.aborted) {
      step.print(onTerm.print);
      return { exit: onTerm.exit };
    }
  }
  return { exit: 0 };
}

const backend = new MemoryBackend({ fallback: interpret });
const down = new MemoryBackend();

const harness: BackendHarness = {
  backendName: "memory",
  installation: options.installation,
  open: () => backend.open(options),
  image: async () => null,
  async makeFolder() {
    const folder = await mkdtemp(join(root, "attempt-"));
    for (const part of ["in", "out", "tmp", "ctl"]) await mkdir(join(folder, part));
    return folder;
  },
  removeFolder: (folder) => rm(folder, { recursive: true, force: true }),
  fakeCommand: (program) => ["program", JSON.stringify(program)],
  destroyObject: async ({ name }) => backend.attempts.get(name)?.vanish(),
  async unreachable() {
    const session = await down.open(options);
    down.becomeUnavailable({ calls: Number.POSITIVE_INFINITY });
    return session;
  },
  elsewhere: null,
  effort: { instantExits: 200, races: 100 },
  close: () => rm(root, { recursive: true, force: true }),
};

await backendContract("memory", harness);
