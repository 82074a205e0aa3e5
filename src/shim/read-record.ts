import { join } from "node:path";
import { readControlFile } from "./control-file.ts";
import { CTL, type ShimRecord } from "./shim.ts";

/**
 * The record of an attempt; null while there is none. A file that is not a record (user code can write there, and a
 * power cut can leave it empty) is no evidence, so it counts as none.
 */
export function readRecord(ctl: string): ShimRecord | null {
  const text = readControlFile(join(ctl, CTL.record));
  return text === null ? null : parseRecord(text);
}

export function parseRecord(text: string): ShimRecord | null {
  let value: Partial<Record<keyof ShimRecord, unknown>>;
  try {
    value = JSON.parse(text);
  } catch {
    return null;
  }
  if (typeof value !== "object" || value === null) return null;
  const valid =
    typeof value.started === "boolean" &&
    typeof value.stopped === "boolean" &&
    (value.failed === null || value.failed === "exec" || value.failed === "setup") &&
    (value.cancel === null || typeof value.cancel === "string") &&
    [value.errno, value.cpuUs, value.maxRssKib].every(isCount) &&
    [value.exit, value.signal, value.oomKills, value.memoryPeakBytes].every(isCountOrNull) &&
    LATER_FIGURES.every((name) => value[name] === undefined || isCountOrNull(value[name])) &&
    // A started attempt ended in exactly one way; one that never started has no exit code.
    (value.started ? (value.exit === null) !== (value.signal === null) : value.exit === null);
  return valid ? (value as ShimRecord) : null;
}

/** Left out by the shims of earlier versions. */
const LATER_FIGURES = [
  ...(["userUs", "systemUs", "readBytes", "writtenBytes", "pidsRefused"] as const),
  ...(["receivedBytes", "sentBytes"] as const),
];

function isCountOrNull(value: unknown): boolean {
  return value === null || isCount(value);
}

function isCount(value: unknown): value is number {
  return Number.isSafeInteger(value) && (value as number) >= 0;
}
