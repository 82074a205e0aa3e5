import { closeSync, fstatSync, readSync } from "node:fs";
import { join } from "node:path";
import type { Outcome } from "../backends/execution-backend.ts";
import { fault } from "../protocol/faults.ts";
import { openPlainFile } from "../std/open-plain-file.ts";

/** Of the end of each stream: what made a step give up is among its last words. */
const TAIL_BYTES = 8 * 1024;
const EVIDENCE_MAX_CHARS = 500;
/** What the C library, and with it every language, calls ENOSPC and EDQUOT. */
const NO_SPACE = /no space left on device|\bENOSPC\b|disk quota exceeded|\bEDQUOT\b/i;

/**
 * A step that failed by itself after it was told that there is no space left. The kernel counts no such refusals: its own
 * last words, or what it left in `error.json`, are the evidence.
 */
export function joinNoSpace(outcome: Outcome, folder: string): Outcome {
  if (outcome.fault?.code !== "exit-nonzero") return outcome;
  const line = lineIn(outcome.fault.message) ?? lineIn(tailOf(folder, "stderr")) ?? lineIn(tailOf(folder, "stdout"));
  if (line === null) return outcome;
  const message = `The step failed because there was no space left to write to. ${outcome.fault.message}`;
  return { ...outcome, fault: fault("disk-full", message, { evidence: line }) };
}

function lineIn(text: string): string | null {
  const line = text.split("\n").findLast((one) => NO_SPACE.test(one));
  return line === undefined ? null : line.trim().slice(0, EVIDENCE_MAX_CHARS);
}

/** Of a platform that keeps the streams in the attempt folder, as those with a shim do. */
function tailOf(folder: string, stream: "stdout" | "stderr"): string {
  const fd = openPlainFile(join(folder, "ctl", stream));
  if (typeof fd === "string") return "";
  try {
    const bytes = Buffer.alloc(TAIL_BYTES);
    const from = Math.max(0, fstatSync(fd).size - TAIL_BYTES);
    return bytes.toString("utf8", 0, readSync(fd, bytes, 0, TAIL_BYTES, from));
  } finally {
    closeSync(fd);
  }
}
