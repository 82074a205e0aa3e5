import type { RetentionRule } from "../protocol/retention.ts";
import { parseDuration } from "./quantity.ts";
import type { RetentionSpec } from "./schema-retention.ts";

export function compileRetention(spec: RetentionSpec): RetentionRule {
  const { keep, last } = typeof spec === "string" ? { keep: spec } : spec;
  return { keepMs: keep === undefined ? 0 : keep === "forever" ? null : parseDuration(keep), last: last ?? null };
}
