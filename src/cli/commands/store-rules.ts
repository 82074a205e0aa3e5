import type { Command } from "commander";
import { DEFAULT_KEEP_MS, type RulesOfProject, retentionText } from "../../protocol/retention.ts";
import { listRules, type RuleReference, setRule, unsetRule } from "../api/store.ts";
import { readKeep } from "../artifacts/read-keep.ts";
import { usageError } from "../cli-error.ts";
import type { CliContext } from "../context.ts";
import { connect } from "../platform/connection.ts";
import { positiveInteger } from "../positive-integer.ts";
import { type WithServer, withServerOptions } from "../server-options.ts";
import { plainText } from "../terminal/plain-text.ts";
import { renderTable } from "../terminal/table.ts";

type Which = { type?: string; artifact?: string; installation?: boolean };
type Options = WithServer<Which & { last?: number; json?: boolean }>;

/** `berth store rules`, with `set` and `unset` */
export function defineStoreRules(parent: Command, context: CliContext): void {
  const rules = withServerOptions(parent.command("rules"))
    .description("how long artifacts are kept: what the project says beside its pipeline files")
    .option("--json", "print JSON")
    .addHelpText("after", HELP)
    .action(async (options: Options) => {
      const items = await listRules((await connect(context, options)).api);
      if (options.json) return context.console.out(JSON.stringify(items, null, 2));
      for (const line of renderTable(COLUMNS, table(items))) context.console.out(line);
    });
  withWhich(withServerOptions(rules.command("set [keep]")))
    .description("keep artifacts for a time such as 30d, or forever")
    .option("--last <n>", "and the newest n, whatever their age; without a time, only these", positiveInteger)
    .option("--json", "print JSON")
    .addHelpText(
      "after",
      "\nExamples:\n  berth store rules set 30d\n  berth store rules set 3d --last 5 --type pickle\n  berth store rules set forever --artifact wine/train/model",
    )
    .action(async (keep: string | undefined, options: Options) => {
      const { last = null } = options;
      if (keep === undefined && last === null)
        throw usageError("Say how long: a time such as 30d, forever, or --last.");
      const rule = { keepMs: keep === undefined ? 0 : readKeep(keep), last };
      const reference = referenceOf(options);
      const set = await setRule((await connect(context, options)).api, reference, rule);
      if (options.json) return context.console.out(JSON.stringify(set, null, 2));
      context.console.out(`${whatOf(set)} are kept: ${set.rule.text}.`);
    });
  withWhich(withServerOptions(rules.command("unset")))
    .description("take a rule back: what is less specific holds again")
    .addHelpText("after", "\nExample:\n  berth store rules unset --type pickle")
    .action(async (options: Options) => {
      const reference = referenceOf(options);
      await unsetRule((await connect(context, options)).api, reference);
      context.console.out(`The rule for ${whatOf({ ...reference, subject: reference.subject ?? "" })} is taken back.`);
    });
}

const HELP = `
Of what is said of a version the most specific holds: its own time (berth artifacts expire), its artifact, its output in
the pipeline file, its pipeline file, its type, its project, the installation, and else 14 days.
berth artifacts retention says for a version which it is.

Examples:
  berth store rules
  berth store rules set 30d`;

function withWhich(command: Command): Command {
  return command
    .option("--type <type>", "of outputs of this type, such as pickle")
    .option("--artifact <artifact>", "of one artifact: pipeline/step/name")
    .option("--installation", "of all projects (with a token of the whole installation)");
}

function referenceOf({ type, artifact, installation }: Which): RuleReference {
  if ([type, artifact, installation].filter((given) => given !== undefined).length > 1) {
    throw usageError("Choose one of --type, --artifact and --installation.");
  }
  if (type !== undefined) return { scope: "type", subject: type };
  if (artifact !== undefined) return { scope: "artifact", subject: artifact };
  return { scope: installation ? "installation" : "project", subject: undefined };
}

type Rule = RulesOfProject["items"][number];

const COLUMNS = [{ title: "OF" }, { title: "KEPT" }, { title: "SET BY" }];
/** The most specific first, as it holds. */
const SCOPES: readonly Rule["scope"][] = ["artifact", "type", "project", "installation"];
const BUILT_IN = ["everything else", retentionText({ keepMs: DEFAULT_KEEP_MS, last: null }), "-"];

/** What nothing else is said of comes last, unless something is said of all. */
function table(rules: readonly Rule[]): string[][] {
  const sorted = SCOPES.flatMap((scope) => rules.filter((rule) => rule.scope === scope));
  const coversAll = rules.some(({ scope }) => scope === "project" || scope === "installation");
  return [...sorted.map(cells), ...(coversAll ? [] : [BUILT_IN])];
}

function cells(rule: Rule): string[] {
  return [whatOf(rule), rule.rule.text, plainText(rule.changedBy)];
}

function whatOf({ scope, subject }: Pick<Rule, "scope" | "subject">): string {
  if (scope === "type") return `outputs of the type ${plainText(subject)}`;
  if (scope === "artifact") return `versions of ${plainText(subject)}`;
  return scope === "project" ? "artifacts of this project" : "artifacts of the installation";
}
