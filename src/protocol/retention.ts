import { z } from "zod";

/** Of what nothing else is said. */
export const DEFAULT_KEEP_MS = 14 * 86_400_000;
/** Each of them is looked for whenever a version of the artifact is due. */
export const KEEP_LAST_MAX = 1_000;
/** A hundred years: beyond that it is for ever. */
export const KEEP_MS_MAX = 36_500 * 86_400_000;

/**
 * How long versions are kept: each for `keepMs` from when it was made (null: for ever, 0: no time by itself), and besides
 * that the newest `last` of an artifact, whatever their age (null: none of them).
 */
export const RetentionRule = z.object({
  keepMs: z.int().nonnegative().max(KEEP_MS_MAX).nullable(),
  last: z.int().min(1).max(KEEP_LAST_MAX).nullable(),
});
export type RetentionRule = z.infer<typeof RetentionRule>;

const DAY_MS = 86_400_000;
const UNITS = [
  ["d", DAY_MS],
  ["h", 3_600_000],
  ["m", 60_000],
  ["s", 1_000],
  ["ms", 1],
] as const;

/** `14d`, `forever`, `the last 5`, `14d or the last 5`. */
export function retentionText({ keepMs, last }: RetentionRule): string {
  const newest = last === null ? null : last === 1 ? "the last one" : `the last ${last}`;
  if (keepMs === null) return "forever";
  if (newest !== null && keepMs === 0) return newest;
  return newest === null ? keepText(keepMs) : `${keepText(keepMs)} or ${newest}`;
}

function keepText(keepMs: number): string {
  if (keepMs === 0) return "0s";
  const [unit, ms] = UNITS.find(([, length]) => keepMs % length === 0)!;
  return `${keepMs / ms}${unit}`;
}

/** Where a rule is said, the most specific first: the first of these that says something about a version holds. */
export const RULE_SCOPES = [
  "version",
  "artifact",
  "output",
  "pipeline",
  "type",
  "project",
  "installation",
  "default",
] as const;
export const RuleScope = z.enum(RULE_SCOPES);
export type RuleScope = z.infer<typeof RuleScope>;

/** What a pipeline file says of a version that is made by it; recorded with the version. */
export const FileRule = RetentionRule.extend({ of: z.enum(["output", "pipeline"]) });
export type FileRule = z.infer<typeof FileRule>;

/** The rule that holds for a version. */
export interface RuleInForce extends RetentionRule {
  readonly scope: RuleScope;
  /** Of a rule for a type or an artifact: which. Of one for a version: who set it. */
  readonly subject: string;
}

const SAID_BY: Readonly<Record<Exclude<RuleScope, "version">, (subject: string) => string>> = {
  artifact: (subject) => `the project's rule for ${subject}`,
  output: () => "the rule of the output in its pipeline file",
  pipeline: () => "the rule of its pipeline file",
  type: (subject) => `the project's rule for the type ${subject}`,
  project: () => "the rule of the project",
  installation: () => "the rule of the installation",
  default: () => "the default",
};

/** `14d, the default`; of a version with a time of its own, who set it. */
export function ruleText({ scope, subject, ...rule }: RuleInForce): string {
  if (scope === "version") return `its own time, set by ${subject}`;
  return `${retentionText(rule)}, ${SAID_BY[scope](subject)}`;
}

const Time = z.iso.datetime();

/** Of one item: `GET /artifacts/:pipeline/:step/:name/:version/retention`. */
export const VersionRetention = z.object({
  item: z.string(),
  rule: RetentionRule.extend({ scope: RuleScope, subject: z.string(), text: z.string() }),
  /** When the rule lets it go, by itself; null for never. */
  endsAt: Time.nullable(),
  /** Whether the rule keeps it as one of the newest, whatever the time. */
  isNewest: z.boolean(),
  pinned: z.object({ at: Time, by: z.string(), reason: z.string().nullable() }).nullable(),
  /** Runs for which it stays longer: some that have not ended, and some that may be restarted. */
  neededBy: z.array(z.object({ run: z.string(), live: z.boolean() })),
  expired: z.object({ at: Time, by: z.string() }).nullable(),
});
export type VersionRetention = z.infer<typeof VersionRetention>;

/** How many items something was done with. */
export const ItemsChanged = z.object({ items: z.int() });

export const PinRequest = z.strictObject({ reason: z.string().min(1).max(500).nullable().optional() });

/** Null takes the version's own time back. */
export const ExpiryRequest = z.strictObject({ until: Time.nullable() });

export const SettingsScope = z.enum(["installation", "project", "type", "artifact"]);
export type SettingsScope = z.infer<typeof SettingsScope>;

/** A type of outputs, or `pipeline/step/artifact`. */
const NAME = "[A-Za-z][A-Za-z0-9_-]{0,62}";
const Subject = z
  .string()
  .regex(
    new RegExp(`^(?:${NAME}/${NAME}/${NAME}|[A-Za-z][A-Za-z0-9._-]{0,62})$`),
    "must be a type such as pickle, or pipeline/step/artifact",
  );

/** `PUT /store/rules` */
export const SetRuleRequest = z.strictObject({
  scope: SettingsScope,
  subject: Subject.optional(),
  rule: RetentionRule,
});

/** `GET /store/rules`; what says nothing is left out, and 14 days hold where nothing does. */
export const RulesOfProject = z.object({
  items: z.array(
    z.object({
      scope: SettingsScope,
      subject: z.string(),
      rule: RetentionRule.extend({ text: z.string() }),
      changedBy: z.string(),
      changedAt: Time,
    }),
  ),
});
export type RulesOfProject = z.infer<typeof RulesOfProject>;
