import { spawn } from "node:child_process";
import { join } from "node:path";
import { createInterface } from "node:readline";
import type { SimulationResult } from "./simulate.ts";

export interface ChildrenOptions {
  readonly root: string;
  /** The name of a past failure, to be put back. */
  readonly mutant?: string;
  readonly seed: number;
  readonly seeds: number;
  readonly store: "memory" | "postgres";
  /** Processes side by side, which share the seeds. */
  readonly processes: number;
  /** Ends when a seed has a violation. */
  readonly first: boolean;
  readonly trace?: boolean;
  /** No further seed is begun after this time; the default is none. */
  readonly secondsMax?: number;
  /** A process that says nothing for this long hangs in its seed: that is a violation, too. */
  readonly silentMaxMs?: number;
  onResult?(result: SimulationResult): void;
}

/** What a seed leaves is collected in one go, more seldom. */
const NODE_FLAGS = ["--max-semi-space-size=64"];

/** Simulates seeds in processes of their own, and returns what became of each; throws when a process fails. */
export async function runChildren(options: ChildrenOptions): Promise<SimulationResult[]> {
  const { seed, seeds, processes, first } = options;
  const results: SimulationResult[] = [];
  const stop = new AbortController();
  const share = (index: number) => Math.ceil((seeds - index) / processes);
  const children = Array.from({ length: Math.min(processes, seeds) }, (_, index) =>
    runChild(options, { seed: seed + index, seeds: share(index) }, stop.signal, (result) => {
      results.push(result);
      options.onResult?.(result);
      if (first && result.violations.length > 0) stop.abort();
    }),
  );
  await Promise.all(children);
  return results.sort((left, right) => left.seed - right.seed);
}

async function runChild(
  { root, store, processes, first, mutant, trace = false, silentMaxMs = 120_000, secondsMax }: ChildrenOptions,
  { seed, seeds }: { readonly seed: number; readonly seeds: number },
  stop: AbortSignal,
  onResult: (result: SimulationResult) => void,
): Promise<void> {
  const args = ["--seed", String(seed), "--seeds", String(seeds), "--stride", String(processes), "--store", store];
  if (first) args.push("--first");
  if (trace) args.push("--trace");
  if (mutant !== undefined) args.push("--mutant", mutant);
  if (secondsMax !== undefined) args.push("--seconds", String(secondsMax));
  const child = spawn(process.execPath, [...NODE_FLAGS, join(root, "test/simulation/child.ts"), ...args], {
    stdio: ["ignore", "pipe", trace ? "inherit" : "pipe"],
  });
  const kill = () => child.kill("SIGKILL");
  stop.addEventListener("abort", kill, { once: true });
  let next = seed;
  let hangs = false;
  const silence = () => {
    hangs = true;
    kill();
  };
  let timer = setTimeout(silence, silentMaxMs);
  let errors = "";
  child.stderr?.on("data", (chunk) => {
    errors = `${errors}${chunk}`.slice(-20_000);
  });
  const exited = new Promise<number | null>((resolve) => child.once("close", resolve));
  for await (const line of createInterface({ input: child.stdout! })) {
    clearTimeout(timer);
    timer = setTimeout(silence, silentMaxMs);
    const result = JSON.parse(line) as SimulationResult;
    next = result.seed + processes;
    onResult(result);
  }
  const code = await exited;
  clearTimeout(timer);
  stop.removeEventListener("abort", kill);
  if (hangs) {
    const violations = [`it came to no end within ${silentMaxMs} ms`];
    onResult({ seed: next, violations, events: 0, virtualMs: 0, hash: "" });
  } else if (code !== 0 && !stop.aborted) {
    throw new Error(`the simulation of seed ${next} ended with ${code}:\n${errors}`);
  }
}
