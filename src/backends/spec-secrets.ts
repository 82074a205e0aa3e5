import { lchownSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import type { Owner } from "../shim/control-folder.ts";
import { SECRET_LAYOUT, type SpecSecrets } from "./execution-backend.ts";

/** The variables among an attempt's secrets, for where no shim reads them. */
export function secretVariables(secrets: SpecSecrets | undefined): Record<string, string> {
  if (secrets?.variables !== true) return {};
  const pairs = readFileSync(join(secrets.folder, SECRET_LAYOUT.variables), "utf8").split("\0").slice(0, -1);
  return Object.fromEntries(pairs.map((pair) => [pair.slice(0, pair.indexOf("=")), pair.slice(pair.indexOf("=") + 1)]));
}

/** Gives what is there of an attempt's secrets to the user that the step runs as. */
export function handOverSecrets(secrets: SpecSecrets | undefined, owner: Owner | null): void {
  if (secrets === undefined || owner === null) return;
  const parts = [SECRET_LAYOUT.files, ...(secrets.variables ? [SECRET_LAYOUT.env] : [])];
  for (const folder of parts.map((part) => join(secrets.folder, part))) {
    const files = readdirSync(folder).map((name) => join(folder, name));
    for (const path of [folder, ...files]) lchownSync(path, owner.uid, owner.gid);
  }
}
