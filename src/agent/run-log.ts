import { type Logger, pino } from "pino";
import type { LeaseRef } from "../protocol/agent-api.ts";
import type { MaskText } from "../protocol/mask-events.ts";

/** As deep as a log line shows what it was given. */
const DEPTH_MAX = 5;

/** The agent's own log of one run: what errors and fields say is masked as what the run itself says is. */
export function runLog(log: Logger, { run, epoch }: LeaseRef, mask: MaskText): Logger {
  return log.child(
    { run, epoch },
    {
      serializers: { err: (error: Error) => masked(pino.stdSerializers.err(error), mask, 0) },
      formatters: { log: (fields) => masked(fields, mask, 0) as Record<string, unknown> },
    },
  );
}

/** An error is left to its serializer, which comes after this. */
function masked(value: unknown, mask: MaskText, depth: number): unknown {
  if (typeof value === "string") return mask(value);
  if (typeof value !== "object" || value === null || value instanceof Error) return value;
  if (depth === DEPTH_MAX) return Array.isArray(value) ? "[Array]" : "[Object]";
  if (Array.isArray(value)) return value.map((item) => masked(item, mask, depth + 1));
  return Object.fromEntries(Object.entries(value).map(([key, item]) => [mask(key), masked(item, mask, depth + 1)]));
}
