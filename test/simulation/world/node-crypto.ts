import { scheduler } from "./virtual-time.ts";

/** Stands for the module, but for what waits or differs from run to run. */
export * from "node:crypto";

export function randomBytes(size: number): Buffer {
  return scheduler().random.bytes(size);
}

export function randomUUID(): string {
  return randomBytes(16).toString("hex");
}
