import { createHash } from "node:crypto";
import { readdirSync, readFileSync, statSync } from "node:fs";
import { join } from "node:path";
import type { End, Script, ScriptedStep } from "../../src/backends/memory/script.ts";
import type { Ledger, LedgerEntry } from "./ledger.ts";
import type { Random } from "./world/random.ts";
import { runIn, type Scheduler } from "./world/virtual-time.ts";

/** So much that it does not travel inside an event. */
const LARGE = "x".repeat(17 * 1024);
export interface StepsOptions {
  readonly scheduler: Scheduler;
  readonly ledger: Ledger;
  readonly machine: string;
  readonly onStart: (step: ScriptedStep) => void;
  readonly onEnd: (entry: LedgerEntry) => void;
  /** A step takes up to one of these. */
  readonly maxMs: readonly number[];
  /** Of anything to go wrong inside a step. */
  readonly trouble: number;
}

/** What an output says of how it was made, in its first line; the judge reads it. */
export interface Provenance {
  readonly stepRun: string;
  readonly attempt: number;
  readonly epoch: number;
  readonly nonce: number;
  /** Digests of the files under each input. */
  readonly inputs: Readonly<Record<string, readonly string[]>>;
  /** A batch item's share. */
  readonly share: string | null;
}

/**
 * What every step does: reads what is there, prints, takes its time, and writes outputs that are never the same twice,
 * so that two executions can be told apart. Sometimes something goes wrong.
 */
export function scriptOf(options: StepsOptions): Script {
  return (step) => {
    const { scheduler, ledger, machine, onStart } = options;
    const entry = ledger.start(step.ref, machine, scheduler.nowMs);
    onStart(step);
    step.ended.addEventListener("abort", () => {
      entry.endedAtMs = scheduler.nowMs;
      options.onEnd(entry);
    });
    const print = (text: string) => {
      if (step.ended.aborted) return;
      entry.printed += text;
      step.print(text);
    };
    /** Not all of them do, and which ones is no matter of chance: that would make another story of every seed. */
    const report = (value: number) => {
      if (step.ended.aborted || step.spec.env.BERTH_PIPELINE !== "flow") return;
      entry.metrics.push(value);
      step.say(JSON.stringify({ type: "progress", done: value, total: 3 }));
      step.say(JSON.stringify({ type: "metric", name: "value", value }));
    };
    print(`${step.ref.stepRun} begins\n`);
    report(1);
    const made = contentOf(step, scheduler.random, entry.epoch);
    const end = (): End => {
      if (!step.ended.aborted) for (const [path, text] of made) step.write(path, text);
      print(`${step.ref.stepRun} ends\n`);
      report(2);
      report(3);
      const how = fateOf(scheduler.random, options.trouble);
      if (!step.ended.aborted) entry.exit = "exit" in how ? how.exit : null;
      return how;
    };
    if (scheduler.random.chance(0.15)) return end();
    if (scheduler.random.chance(0.2)) step.handleTerm();
    const ms = scheduler.random.integer(1, scheduler.random.pick(options.maxMs));
    return runIn(undefined, () => step.delay(ms).then(end));
  };
}

function fateOf(random: Random, trouble: number): End {
  if (!random.chance(trouble)) return { exit: 0 };
  return random.pick<End>([
    { exit: 1 },
    { exit: 1 },
    { exit: 65 },
    { vanished: true },
    { signal: "SIGSEGV" },
    { oom: true },
  ]);
}

/** The files to write, by path under `out`. */
function contentOf({ ref, spec }: ScriptedStep, random: Random, epoch: number): Map<string, string> {
  const read = readInputs(join(spec.folder, "in"));
  const provenance: Provenance = { ...ref, epoch, nonce: Math.floor(random.next() * 2 ** 32), ...read };
  const paths = Object.entries(spec.env)
    .filter(([name]) => name.startsWith("BERTH_OUTPUT_"))
    .map(([, path]) => path.replace(/^.*\/out\//, ""));
  return new Map(
    paths.map((path) => {
      if (path === "flag") return [path, random.pick(["yes", "no"])];
      const padding = random.chance(0.4) ? LARGE : "";
      if (!path.startsWith("rows")) return [path, `${JSON.stringify(provenance)}\n${padding}`];
      const rows = Array.from({ length: random.integer(0, 4) }, (_, row) => `row ${row} ${provenance.nonce}\n`);
      return [path, `${JSON.stringify(provenance)}${padding}\n${rows.join("")}`];
    }),
  );
}

function readInputs(folder: string): Pick<Provenance, "inputs" | "share"> {
  const inputs: Record<string, string[]> = {};
  let share: string | null = null;
  for (const name of readdirSync(folder).sort()) {
    const files = filesUnder(join(folder, name));
    if (name === "batch") share = readFileSync(files[0]!, "utf8");
    else inputs[name] = files.map((file) => createHash("sha256").update(readFileSync(file)).digest("hex")).sort();
  }
  return { inputs, share };
}

function filesUnder(path: string): string[] {
  if (!statSync(path).isDirectory()) return [path];
  return readdirSync(path).flatMap((name) => filesUnder(join(path, name)));
}
