import os from "node:os";
import { currentProcess, scheduler } from "./virtual-time.ts";

/** Stands for the module, but for what waits or differs from run to run. */
export * from "node:os";

/** Seconds since the simulated machine was started. */
export function uptime(): number {
  return (scheduler().nowMs - (currentProcess()?.clock.bootedAtMs ?? 0)) / 1000;
}

export function availableParallelism(): number {
  return 2;
}

export default { ...os, uptime, availableParallelism, totalmem: () => 2 ** 33, freemem: () => 2 ** 32 };
