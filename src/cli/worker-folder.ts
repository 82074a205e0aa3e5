import type { Command } from "commander";
import { MEMORY_PATTERN, parseMemory } from "../pipeline/quantity.ts";
import { usageError } from "./cli-error.ts";
import type { CliContext } from "./context.ts";
import { berthHome, homeFiles } from "./platform/home.ts";

/** Of commands that look after what a worker on this machine keeps. */
export interface WorkerOptions {
  readonly home?: string;
  readonly json?: boolean;
}

export function onHome(command: Command): Command {
  return command
    .option("--home <folder>", "folder of the worker; by default the one that is registered on this machine")
    .option("--json", "print JSON");
}

/** Of the worker that is named, or of the one that this machine is: its own agent first, then that of `berth up`. */
export async function workerFolder({ env, programs }: CliContext, { home }: WorkerOptions): Promise<string> {
  const { agent, localAgent } = homeFiles(berthHome(env));
  for (const folder of home === undefined ? [agent, localAgent] : [home]) {
    if ((await programs.registeredWorker(folder)) !== null) return folder;
  }
  throw usageError(
    `There is no worker in ${home ?? `${agent} or ${localAgent}`}.`,
    "--home names the folder of a worker, as for `berth agent start`.",
  );
}

/** How much is to be left, as people write it. */
export function bytesOf(size: string): number {
  if (size === "0") return 0;
  if (MEMORY_PATTERN.test(size)) return parseMemory(size);
  throw usageError(`"${size}" is no size.`, "Write it like 500MiB or 5GiB, or 0 for nothing.");
}
