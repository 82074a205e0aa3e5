import type { Lineage } from "../../protocol/lineage.ts";
import type { ArtifactDetail } from "../../protocol/resources.ts";
import { formatSize } from "../../std/format-size.ts";
import { formatLocal, formatUntil } from "../terminal/format-moment.ts";
import { plainText } from "../terminal/plain-text.ts";
import { clip, renderTable } from "../terminal/table.ts";

export type DetailedItem = ArtifactDetail["items"][number];

/** Of each list, as many are named. */
const NAMED_MAX = 10;
const SCHEMA_MAX_CHARS = 300;

/** All that is known of one version, line by line; of a version with several items, of one of them. */
export function artifactFacts(item: DetailedItem, lineage: Lineage): string[] {
  const rows: [string, string][] = [
    ["content", contentOf(item)],
    ["SHA-256", item.digest],
    ["made", `${formatLocal(item.createdAt)}, by ${plainText(item.stepRun)} in ${item.pipeline}#${item.run.number}`],
    ["", `attempt ${item.attempt}, on worker ${plainText(item.worker.name)}`],
    ...(item.format === null ? [] : [["format", plainText(item.format)] as [string, string]]),
    ...schemaRows(item),
    ...listRows(
      "tags",
      Object.entries(item.tags).map(([key, value]) => `${plainText(key)}=${plainText(value)}`),
    ),
    ["kept", keptWords(item)],
    ...listRows("made from", versionsRead(lineage), "nothing: its step has no inputs"),
    ...listRows("used for", versionsMadeFrom(lineage), "nothing yet"),
  ];
  return renderTable(
    [{ title: "" }, { title: "" }],
    rows.map(([name, value]) => [`  ${name}`, value]),
  );
}

function contentOf({ kind, fileName, size, fileCount, contentType }: DetailedItem): string {
  if (kind === "folder") return `${plainText(fileName)}/, a folder of ${fileCount} files, ${formatSize(size)}`;
  return `${plainText(fileName)}, ${formatSize(size)}, ${plainText(contentType)}`;
}

function schemaRows({ schema }: DetailedItem): [string, string][] {
  if (schema === null || schema === undefined) return [];
  return [["schema", clip(plainText(JSON.stringify(schema)), SCHEMA_MAX_CHARS)]];
}

/** How long it is kept, by which rule. */
export function keptWords({
  pinned,
  expired,
  expiresAt,
}: Pick<DetailedItem, "pinned" | "expired" | "expiresAt">): string {
  if (expired !== null) return `its content is gone since ${formatLocal(expired.at)}: ${plainText(expired.by)}`;
  if (pinned !== null) {
    const why = pinned.reason === null ? "" : `: ${plainText(pinned.reason)}`;
    return `pinned since ${formatLocal(pinned.at)} by ${plainText(pinned.by)}${why}`;
  }
  if (expiresAt === null) return "for ever";
  return `until ${formatLocal(expiresAt)} (${formatUntil(Date.parse(expiresAt) - Date.now())})`;
}

function listRows(name: string, values: readonly string[], none?: string): [string, string][] {
  if (values.length === 0) return none === undefined ? [] : [[name, none]];
  const shown = values.slice(0, NAMED_MAX);
  const more = values.length - shown.length;
  return [...shown, ...(more > 0 ? [`and ${more} more`] : [])].map((value, index) => [index === 0 ? name : "", value]);
}

/** The versions that its step read, each under its input. */
function versionsRead(lineage: Lineage): string[] {
  const roots = new Set(lineage.versions.filter(({ isRoot }) => isRoot).map(({ id }) => id));
  const makers = new Set(
    lineage.edges.filter((edge) => edge.kind === "made" && roots.has(edge.version)).map(({ step }) => step),
  );
  return lineage.edges.flatMap((edge) =>
    edge.kind === "read" && makers.has(edge.step) ? [`${edge.input}: ${named(lineage, edge.version)}`] : [],
  );
}

/** What was made by the steps that read it; a step that made nothing is named itself. */
function versionsMadeFrom(lineage: Lineage): string[] {
  const roots = new Set(lineage.versions.filter(({ isRoot }) => isRoot).map(({ id }) => id));
  const readers = lineage.edges
    .filter((edge) => edge.kind === "read" && roots.has(edge.version))
    .map(({ step }) => step);
  return [...new Set(readers)].flatMap((reader) => {
    const made = lineage.edges.filter((edge) => edge.kind === "made" && edge.step === reader);
    return made.length === 0 ? [`step ${reader}`] : made.map(({ version }) => named(lineage, version));
  });
}

function named({ versions }: Lineage, id: string): string {
  const items = versions.find((version) => version.id === id)?.items ?? 1;
  return items === 1 ? id : `${id}, ${items} items`;
}
