import type { Command } from "commander";
import { TAG_KEY_RULE, TagKey, TagValue } from "../../protocol/output-notes.ts";
import { ArtifactDetail } from "../../protocol/resources.ts";
import { artifactPath, tagArtifact } from "../api/artifacts.ts";
import { parseReference } from "../artifacts/parse-reference.ts";
import { usageError } from "../cli-error.ts";
import type { CliContext } from "../context.ts";
import { connect } from "../platform/connection.ts";
import { type WithServer, withServerOptions } from "../server-options.ts";

type Options = WithServer<{ item?: string; json?: boolean }>;

/** `tag` and `untag`, which are the two halves of one request. */
export function defineArtifactsTag(parent: Command, context: CliContext): void {
  withServerOptions(parent.command("tag <artifact> <tags...>"))
    .description("set tags of a version, as key=value")
    .option("--item <item>", "only of this item of a batch or matrix, such as 7 or model=knn")
    .option("--json", "print how many items were changed as JSON")
    .addHelpText("after", "\nExamples:\n  berth artifacts tag wine/train/model/3 stage=production owner=ann")
    .action((reference: string, tags: string[], options: Options) =>
      change(context, reference, { set: Object.fromEntries(tags.map(parseTag)) }, options),
    );
  withServerOptions(parent.command("untag <artifact> <keys...>"))
    .description("remove tags of a version")
    .option("--item <item>", "only of this item of a batch or matrix, such as 7 or model=knn")
    .option("--json", "print how many items were changed as JSON")
    .addHelpText("after", "\nExamples:\n  berth artifacts untag wine/train/model/3 stage")
    .action((reference: string, keys: string[], options: Options) =>
      change(context, reference, { remove: keys.map(checkKey) }, options),
    );
}

async function change(
  context: CliContext,
  text: string,
  tags: { readonly set?: Record<string, string>; readonly remove?: string[] },
  { item, ...options }: Options,
): Promise<void> {
  const reference = parseReference(text);
  const { api } = await connect(context, options);
  // What was the newest version when it was asked for is the one that is changed, and named.
  const { version } = await api.get(artifactPath(reference), ArtifactDetail, { query: { item, limit: 1 } });
  const { items, changed } = await tagArtifact(api, { ...reference, version }, item, tags);
  if (options.json) return context.console.out(JSON.stringify({ items, changed }));
  const name = `${reference.pipeline}/${reference.step}/${reference.name}/${version}`;
  const of = items === 1 ? "" : ` of ${items} items`;
  context.console.note(
    changed === 0 ? `${name}: nothing changed, it was so${of} before.` : `${name}: changed${shown(changed, items)}.`,
  );
}

function shown(changed: number, items: number): string {
  return items === 1 ? "" : ` ${changed} of ${items} items`;
}

function parseTag(text: string): [string, string] {
  const equals = text.indexOf("=");
  if (equals < 0) throw usageError(`"${text}" is no tag.`, "Write it as key=value, such as team=ml.");
  const value = TagValue.safeParse(text.slice(equals + 1));
  if (!value.success) throw usageError(`The value of "${text}" cannot be one: it ${value.error.issues[0]!.message}.`);
  return [checkKey(text.slice(0, equals)), value.data];
}

function checkKey(key: string): string {
  if (TagKey.safeParse(key).success) return key;
  throw usageError(`"${key}" cannot name a tag.`, `A key ${TAG_KEY_RULE}.`);
}
