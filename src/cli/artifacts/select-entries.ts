import type { FolderManifest, ManifestEntry } from "../../protocol/artifacts.ts";
import { linkProblem } from "../../std/relative-path.ts";

export type FileEntry = Extract<ManifestEntry, { kind: "file" }>;

/** What is fetched of a folder artifact: its entries by the paths that they get. */
export interface Selection {
  readonly entries: readonly ManifestEntry[];
  /** Links of it that lead out of the part that was asked for, by their paths in the whole. */
  readonly leftOut: readonly string[];
}

/** All of a folder, or what lies below one of its folders; null when there is no such folder. */
export function selectEntries({ entries }: FolderManifest, under: string | null): Selection | null {
  if (under === null) return { entries, leftOut: [] };
  const inside = entries.filter(({ path }) => path.startsWith(`${under}/`));
  const isThere = inside.length > 0 || entries.some(({ kind, path }) => kind === "folder" && path === under);
  if (!isThere) return null;
  const links = new Set(entries.flatMap(({ kind, path }) => (kind === "link" ? [path] : [])));
  const leftOut: string[] = [];
  const selected = inside.flatMap((entry) => {
    const path = entry.path.slice(under.length + 1);
    if (entry.kind === "link" && leads(entry, path, under, links)) {
      leftOut.push(entry.path);
      return [];
    }
    return [{ ...entry, path }];
  });
  return { entries: selected, leftOut };
}

/** Whether a link that is fine in the whole folder leads out of its part. What is wrong in both is for the writer to refuse. */
function leads(
  { path, target }: Extract<ManifestEntry, { kind: "link" }>,
  pathInPart: string,
  under: string,
  links: ReadonlySet<string>,
): boolean {
  if (linkProblem(path, target, (place) => links.has(place)) !== null) return false;
  return linkProblem(pathInPart, target, (place) => links.has(`${under}/${place}`)) !== null;
}
