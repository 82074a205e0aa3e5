import { currentProcess, scheduler } from "./virtual-time.ts";

/** Stands for the module, but for what waits or differs from run to run. */
export * from "node:crypto";

export function randomBytes(size: number): Buffer {
  // Ids that a server makes leave the story as it is, whatever it makes them for.
  const { random, ids } = scheduler();
  return (currentProcess() === undefined ? ids : random).bytes(size);
}

export function randomUUID(): string {
  return randomBytes(16).toString("hex");
}
