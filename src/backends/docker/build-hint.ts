/** What a failed build says about its cause, and the way out. */
export interface BuildHint {
  readonly what: string;
  readonly advice: string;
}

/** The network first: without it installers say as well that a package does not exist. */
const NETWORK =
  /temporary failure (in name resolution|resolving)|could not resolve host|network is unreachable|ENOTFOUND|EAI_AGAIN|ECONNREFUSED|ETIMEDOUT|ReadTimeoutError|failed to establish a new connection|certificate verify failed|self[- ]signed certificate/i;

/** An index that wants to know who asks; several tell it, and then that a package does not exist. */
const REFUSED =
  /\b40[13] (?:client )?(?:error|unauthorized|forbidden)\b|\b40[13]\s+\(?(?:unauthorized|forbidden)\b|\bE40[13]\b|ERR_PNPM_FETCH_40[13]|unable to authenticate|invalid authentication|HTTP error 40[13]/i;

const CHECK_NAME = "Check its name and version, and that the index it comes from is the one that the build asks.";
const CHECK_WHO =
  "Name the index's host under credentials of the environment, with a secret that it accepts, and check that the index may be used.";
const CHECK_CONTEXT =
  "Paths of COPY are relative to the context, which has nothing of what .dockerignore and .berthignore leave out.";
const LOCK_AGAIN = "Write the lock file again with the same version of the tool, and submit both files.";
/** Of the versions that an index has, so many are named. */
const VERSIONS_SHOWN = 3;

type Meaning = readonly [RegExp, (found: RegExpExecArray, output: string) => BuildHint];

/** What is not to be had; the first group is the package, where an installer names it. */
const MISSING: readonly Meaning[] = [
  [
    /Ignored the following versions that require a different python version: (.+)[\s\S]*?satisfies the requirement (\S+)/,
    ([, versions, name]) => ({
      what: `versions of the Python package ${name} need another Python than the base image has (${lastOf(versions!, ";")})`,
      advice: "Take a base image with a Python that fits, or a version of the package that fits it.",
    }),
  ],
  [
    /satisfies the requirement (\S.*?) \(from versions: (?!none\))(.+)\)/,
    ([, name, versions], output) => ({
      what: `there is no such version of the Python package ${name}${pipIndex(output)}; it has ${lastOf(versions!, ",")}`,
      advice: CHECK_NAME,
    }),
  ],
  [
    /No matching distribution found for (\S.*?)\s*$/m,
    ([, name], output) => missing("Python package", name!, pipIndex(output)),
  ],
  [/Because (\S+) was not found in the package registry/m, ([, name]) => missing("Python package", name!)],
  [
    /404 Not Found - GET (https?:\/\/[^\s/]+)\S*\/([^\s/]+)(?: - Not found)?\s*$/m,
    ([, registry, name]) => missing("Node package", decodeName(name!), ` at ${registry}`),
  ],
  [/No matching version found for (\S+?)\.?\s*$/m, ([, name]) => missing("Node package", name!)],
  [/Couldn't find (?:any versions for|package) "([^"]+)"/m, ([, name]) => missing("Node package", name!)],
  [/Unable to locate package (\S+)/m, ([, name]) => missing("Debian package", name!, SOURCES)],
  [
    /Version '[^']*' for '(\S+?)' was not found/m,
    ([, name]) => missing("version of the Debian package", name!, SOURCES),
  ],
  [/Package '?(\S+?)'? has no installation candidate/m, ([, name]) => missing("Debian package", name!, SOURCES)],
];

const SOURCES = " in the sources of the base image";

const OTHERS: readonly Meaning[] = [
  [
    /can only install packages when your package\.json and package-lock\.json .* in sync|ERR_PNPM_OUTDATED_LOCKFILE|lockfile (?:would have been modified|needs to be updated)/m,
    () => ({ what: "the lock file does not fit what it locks", advice: LOCK_AGAIN }),
  ],
  [
    /(?:^|[ :])(python3|npm|apt-get|pip|node): (?:not found|command not found)|No module named (pip)\b/m,
    ([, program, module]) => ({
      what: `the base image has no ${program ?? module}`,
      advice:
        program === "apt-get"
          ? "Take a base image of Debian or Ubuntu, or do without apt."
          : "Take a base image that has it, or install it with apt.",
    }),
  ],
  [
    /failed to (?:compute|calculate) [^"]*"\/?([^"]+)":? not found|COPY failed: file not found in build context.*: stat ([^:]+):/,
    ([, path, stat]) => ({ what: `there is no ${path ?? stat} in the build context`, advice: CHECK_CONTEXT }),
  ],
  [
    /No space left on device/i,
    () => ({ what: "the engine's disk is full", advice: "Free space where the engine keeps its images." }),
  ],
];

/** Null where the words are about nothing known. */
export function buildHint(output: string): BuildHint | null {
  if (REFUSED.test(output)) return { what: "a package index did not accept who asked", advice: CHECK_WHO };
  const isOffline = NETWORK.test(output);
  const hint = meaningOf(output, isOffline ? OTHERS : [...MISSING, ...OTHERS]);
  if (hint !== null || !isOffline) return hint;
  return {
    what: "the build could not reach a registry",
    advice: "Check the network of the engine's containers, then run again.",
  };
}

function meaningOf(output: string, meanings: readonly Meaning[]): BuildHint | null {
  for (const [pattern, hint] of meanings) {
    const found = pattern.exec(output);
    if (found !== null) return hint(found, output);
  }
  return null;
}

function missing(kind: string, name: string, where = " at the index that was asked"): BuildHint {
  return { what: `there is no ${kind} ${name}${where}`, advice: CHECK_NAME };
}

/** pip names its indexes where they are not its own alone. */
function pipIndex(output: string): string {
  const indexes = /^Looking in indexes: (.+)$/m.exec(output)?.[1];
  return ` at ${indexes?.trim() ?? "the index that was asked"}`;
}

/** The newest come last. */
function lastOf(versions: string, separator: string): string {
  const all = versions.split(separator).map((version) => version.trim());
  const shown = all.slice(-VERSIONS_SHOWN).join(`${separator} `);
  return all.length > VERSIONS_SHOWN ? `${shown} and ${all.length - VERSIONS_SHOWN} older ones` : shown;
}

/** `@acme%2fours` in an address. */
function decodeName(name: string): string {
  return name.replaceAll(/%2f/gi, "/").replaceAll("%40", "@");
}
