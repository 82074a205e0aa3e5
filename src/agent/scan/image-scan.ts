import { z } from "zod";
import type { PolicyFile } from "../policy/policy-schema.ts";

/** What a policy says of scans, with its defaults filled in. */
export interface ScanRules {
  readonly mode: "off" | "warn" | "block";
  readonly severity: Severity;
  /** Whether what no fixed version is known of counts. */
  readonly unfixed: boolean;
  /** The scanner's program. */
  readonly program: string;
}

/** Scanners' own words, the lowest first. */
export const SEVERITIES = ["unknown", "low", "medium", "high", "critical"] as const;
export type Severity = (typeof SEVERITIES)[number];

/** One known weakness of one package in an image. */
export const Finding = z.object({
  id: z.string(),
  severity: z.enum(SEVERITIES),
  package: z.string(),
  version: z.string(),
  fixedIn: z.string().nullable(),
});
export type Finding = z.infer<typeof Finding>;

export function scanRules({ images }: Pick<PolicyFile, "images">): ScanRules {
  const { mode = "off", severity = "high", unfixed = "count", program = "trivy" } = images?.scan ?? {};
  return { mode, severity, unfixed: unfixed === "count", program };
}

/** The severities from one on. */
export function atLeast(severity: Severity): Severity[] {
  return SEVERITIES.slice(SEVERITIES.indexOf(severity));
}

/** Of two, the graver first; those of the same severity by their ids. */
export function byGravity(left: Finding, right: Finding): number {
  const rank = ({ severity }: Finding) => SEVERITIES.indexOf(severity);
  return rank(right) - rank(left) || left.id.localeCompare(right.id);
}
