/** What a failed build says about its cause, and the way out. */
export interface BuildHint {
  readonly what: string;
  readonly advice: string;
}

/** The network first: without it installers say as well that a package does not exist. */
const NETWORK =
  /temporary failure (in name resolution|resolving)|could not resolve host|network is unreachable|ENOTFOUND|EAI_AGAIN|ECONNREFUSED|ETIMEDOUT|ReadTimeoutError|failed to establish a new connection|certificate verify failed|self[- ]signed certificate/i;

const CHECK_NAME = "Check its name and version, and that the index it comes from is the one that the build asks.";
const LOCK_AGAIN = "Write the lock file again with the same version of the tool, and submit both files.";

/** Words of installers. The first group is the package, where they name it. */
const MEANINGS: readonly (readonly [RegExp, (name: string) => BuildHint])[] = [
  [/No matching distribution found for (\S.*?)\s*$/m, missing("Python package")],
  [/Because (\S+) was not found in the package registry/m, missing("Python package")],
  [/404 Not Found - GET \S+\/([^\s/]+)(?: - Not found)?\s*$/m, missing("Node package")],
  [/No matching version found for (\S+?)\.?\s*$/m, missing("Node package")],
  [/Couldn't find (?:any versions for|package) "([^"]+)"/m, missing("Node package")],
  [/Unable to locate package (\S+)/m, missing("Debian package")],
  [/Version '[^']*' for '(\S+?)' was not found/m, missing("version of the Debian package")],
  [/Package '?(\S+?)'? has no installation candidate/m, missing("Debian package")],
  [
    /can only install packages when your package\.json and package-lock\.json .* in sync|ERR_PNPM_OUTDATED_LOCKFILE|lockfile (?:would have been modified|needs to be updated)/m,
    () => ({ what: "the lock file does not fit what it locks", advice: LOCK_AGAIN }),
  ],
  [
    /(?:^|[ :])(python3|npm|apt-get|pip|node): (?:not found|command not found)|No module named (pip)\b/m,
    (name) => ({
      what: `the base image has no ${name || "such program"}`,
      advice: "Take a base image that has it, or install it with apt.",
    }),
  ],
  [
    /No space left on device/i,
    () => ({ what: "the engine's disk is full", advice: "Free space where the engine keeps its images." }),
  ],
];

/** Null where the words are about nothing known. */
export function buildHint(output: string): BuildHint | null {
  for (const [pattern, hint] of MEANINGS) {
    const found = pattern.exec(output);
    if (found === null) continue;
    const isPackage = hint("").what.startsWith("there is no");
    if (isPackage && NETWORK.test(output)) break;
    return hint(found[1] ?? found[2] ?? "");
  }
  return NETWORK.test(output)
    ? {
        what: "the build could not reach a registry",
        advice: "Check the network of the engine's containers, then run again.",
      }
    : null;
}

function missing(kind: string): (name: string) => BuildHint {
  return (name) => ({ what: `there is no ${kind} ${name}`, advice: CHECK_NAME });
}
