import { type Content, FolderManifest, type ManifestEntry } from "../../protocol/artifacts.ts";
import { BerthError } from "../../protocol/errors.ts";
import { linkProblem, relativePathProblem } from "../../std/relative-path.ts";

/** Of a path that is refused, as many are shown. */
const SHOWN_CHARS = 200;

/**
 * Reads the manifest of a folder artifact. Whoever writes the folder out later relies on what is checked here: every
 * path is relative, normalised and there once, no link leaves the folder, and the sums are those of the artifact.
 */
export function readManifest(content: Content, bytes: Uint8Array): readonly ManifestEntry[] {
  let json: unknown;
  try {
    json = JSON.parse(Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString("utf8"));
  } catch (error) {
    throw new BerthError("invalid_request", `The manifest ${content.digest} is not JSON.`, { cause: error });
  }
  const parsed = FolderManifest.safeParse(json);
  if (!parsed.success) {
    const issue = parsed.error.issues[0]!;
    throw new BerthError(
      "invalid_request",
      `The manifest ${content.digest} is wrong at ${issue.path.join(".")}: ${issue.message}`,
    );
  }
  checkEntries(content, parsed.data.entries);
  return parsed.data.entries;
}

function checkEntries(content: Content, entries: readonly ManifestEntry[]): void {
  const refuse = (why: string): never => {
    throw new BerthError("invalid_request", `The manifest ${content.digest} ${why}.`);
  };
  const kinds = new Map(entries.map(({ path, kind }) => [path, kind]));
  if (kinds.size !== entries.length) refuse("holds a path twice");
  let size = 0;
  let files = 0;
  for (const entry of entries) {
    const unsafe = relativePathProblem(entry.path);
    if (unsafe !== null) refuse(`holds the unsafe path ${JSON.stringify(entry.path.slice(0, SHOWN_CHARS))}: ${unsafe}`);
    const parent = ancestors(entry.path).find((path) => (kinds.get(path) ?? "folder") !== "folder");
    if (parent !== undefined) refuse(`puts ${JSON.stringify(entry.path)} below what is no folder`);
    if (entry.kind === "link") {
      const problem = linkProblem(entry.path, entry.target, (path) => kinds.get(path) === "link");
      if (problem !== null) refuse(`holds a link ${JSON.stringify(entry.path)} that cannot be kept: ${problem}`);
    }
    if (entry.kind !== "file") continue;
    size += entry.size;
    files += 1;
  }
  if (size !== content.size || files !== content.fileCount) {
    refuse(`adds up to ${files} files of ${size} bytes, not to ${content.fileCount} of ${content.size}`);
  }
}

function ancestors(path: string): string[] {
  const parts = path.split("/");
  return parts.slice(1).map((_, index) => parts.slice(0, index + 1).join("/"));
}
