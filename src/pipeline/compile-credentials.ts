import type { IndexCredentials } from "../protocol/plan.ts";
import type { Compilation } from "./compilation.ts";
import { type Path, quote } from "./problem.ts";
import type { EnvironmentSpec } from "./schema-environment.ts";

/** Who a recipe's installers are to the indexes that they ask. */
export function compileCredentials(
  { apt, conda, python, node, credentials = {} }: EnvironmentSpec,
  path: Path,
  { problems }: Compilation,
): IndexCredentials {
  if (apt === undefined && conda === undefined && python === undefined && node === undefined) {
    problems.add([...path, "credentials"], "nothing is installed here that could ask an index", "entry");
  }
  const seen = new Map<string, string>();
  for (const host of Object.keys(credentials)) {
    const name = host.replace(/:\d+$/, "");
    const other = seen.get(name);
    seen.set(name, host);
    if (other === undefined) continue;
    problems.add(
      [...path, "credentials", host],
      `pip cannot tell it from ${quote(other)}: it knows hosts without ports`,
    );
  }
  return Object.fromEntries(
    Object.entries(credentials).map(([host, value]) => [host, typeof value === "string" ? { secret: value } : value]),
  );
}
