import { z } from "zod";
import { KEEP_LAST_MAX, KEEP_MS_MAX } from "../protocol/retention.ts";
import { DURATION_PATTERN, durationProblem, parseDuration } from "./quantity.ts";
import { mapping } from "./schema-parts.ts";

/** `forever` is as good as a duration here. */
const Keep = z
  .string()
  .refine((text) => text === "forever" || DURATION_PATTERN.test(text), {
    error: ({ input }) => `${durationProblem(input, '"12h" or "14d"')}, or "forever"`,
  })
  .refine(
    (text) => !DURATION_PATTERN.test(text) || (parseDuration(text) >= 1 && parseDuration(text) <= KEEP_MS_MAX),
    'must be at least 1 ms and at most 36500d; what has no end is "forever"',
  );

export const RetentionSpec = z
  .union([
    Keep,
    mapping({
      keep: Keep.optional().describe("How long each version is kept: 12h, 14d, forever. Left out: only the last ones."),
      last: z.int().min(1).max(KEEP_LAST_MAX).optional().describe("The newest versions are kept whatever their age."),
    }).refine(({ keep, last }) => keep !== undefined || last !== undefined, "needs keep, last, or both"),
  ])
  .describe("How long versions of artifacts are kept: see docs/retention.md.");
export type RetentionSpec = z.infer<typeof RetentionSpec>;
