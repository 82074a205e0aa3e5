import type { Environment } from "../protocol/plan.ts";
import { copySource, copyTarget, environmentValue, shellWord } from "./dockerfile-words.ts";

export type Recipe = Extract<Environment, { kind: "recipe" }>;

/** Where the source lies in the image, and where steps start. */
export const APP_FOLDER = "/app";

/**
 * The Dockerfile of a recipe. What changes seldom comes first, so that a change of the source installs nothing again:
 * base, system packages, Python packages, Node packages, variables, source. Its context is the source folder.
 *
 * It builds as root with any builder, the classic one included, and the result works for any user: what is installed
 * belongs to root and is readable by all, as long as the files of the context are.
 */
export function generateDockerfile(recipe: Recipe): string {
  return `${[
    base(recipe),
    aptPackages(recipe),
    pythonPackages(recipe),
    nodePackages(recipe),
    variables(recipe),
    source(recipe),
  ]
    .filter((lines) => lines.length > 0)
    .map((lines) => lines.join("\n"))
    .join("\n\n")}\n`;
}

function base({ base: image }: Recipe): string[] {
  if (!/^[A-Za-z0-9][A-Za-z0-9._:/@-]*$/.test(image)) throw new TypeError(`not an image reference: ${image}`);
  return [
    `FROM ${image}`,
    // The base may have set another user; what is installed belongs to root, and steps get theirs at the start.
    "USER root",
    `WORKDIR ${APP_FOLDER}`,
    // Without it Python keeps its output back until a buffer is full, and a log would show nothing for minutes.
    "ENV PYTHONUNBUFFERED=1",
  ];
}

function aptPackages({ apt }: Recipe): string[] {
  if (apt.length === 0) return [];
  const install = "DEBIAN_FRONTEND=noninteractive apt-get install --yes --no-install-recommends";
  return [`RUN apt-get update \\\n && ${install} ${words(apt.toSorted())} \\\n && rm -rf /var/lib/apt/lists/*`];
}

/**
 * `python3 -m pip`, because Debian has neither `python` nor, always, `pip`. Debian's Python refuses packages beside its
 * own (PEP 668); in an image that is what we are here for. As a variable it does not disturb a pip too old to know it.
 */
const PIP = [
  "PIP_BREAK_SYSTEM_PACKAGES=1",
  "PIP_DISABLE_PIP_VERSION_CHECK=1",
  "PIP_ROOT_USER_ACTION=ignore",
  "python3 -m pip install --no-cache-dir",
].join(" ");

function pythonPackages({ python }: Recipe): string[] {
  const lines: string[] = [];
  if (python?.requirements) {
    const inside = "/opt/berth/requirements.txt";
    lines.push(`COPY [${copySource(python.requirements)}, "${inside}"]`, `RUN ${PIP} --requirement ${inside}`);
  }
  if (python && python.packages.length > 0) lines.push(`RUN ${PIP} ${words(python.packages)}`);
  return lines;
}

const NPM_OPTIONS = "--no-audit --no-fund --no-update-notifier --cache /tmp/npm-cache";
const NPM_CLEAN = "rm -rf /tmp/npm-cache";

function nodePackages({ node, source: from }: Recipe): string[] {
  if (node === null) return [];
  const folder = installFolder(node.lockfile, from);
  const lines: string[] = [];
  if (node.lockfile !== null) {
    const files = nodeFiles(node.lockfile).map(copySource).join(", ");
    lines.push(`COPY [${files}, ${copyTarget(folder)}]`);
    lines.push(`RUN cd ${shellWord(folder)} && npm ci ${NPM_OPTIONS} && ${NPM_CLEAN}`);
  }
  if (node.packages.length > 0) {
    const install = `npm install --no-save ${NPM_OPTIONS} ${words(node.packages)}`;
    lines.push(`RUN cd ${shellWord(folder)} && ${install} && ${NPM_CLEAN}`);
  }
  // The path of the image goes on behind it, so this is the one `$` that is meant.
  lines.push(`ENV PATH="${environmentValue(`${folder}/node_modules/.bin`)}:$PATH"`);
  return lines;
}

/** `package.json` beside the lock file, and the lock file. */
export function nodeFiles(lockfile: string): string[] {
  return [lockfile.replace(/[^/]*$/, "package.json"), lockfile];
}

/** Where the lockfile will lie once the source is copied, so that Node finds the packages from there. */
function installFolder(lockfile: string | null, from: string | null): string {
  const folder = lockfile === null ? "" : lockfile.split("/").slice(0, -1).join("/");
  const root = from === null || from === "." ? "" : from;
  const isInside = root === "" || folder === root || folder.startsWith(`${root}/`);
  const below = isInside ? folder.slice(root.length).replace(/^\//, "") : "";
  return below === "" ? APP_FOLDER : `${APP_FOLDER}/${below}`;
}

/** A value with a line break has no form in a Dockerfile; like all the others it is also set when a step starts. */
function variables({ env }: Recipe): string[] {
  const oneLine = Object.entries(env).filter(([, value]) => !/[\r\n]/.test(value));
  return oneLine.map(([name, value]) => {
    if (!/^[A-Za-z_][A-Za-z0-9_]*$/.test(name)) throw new TypeError(`not the name of a variable: ${name}`);
    return `ENV ${name}="${environmentValue(value)}"`;
  });
}

function source({ source: from }: Recipe): string[] {
  return from === null ? [] : [`COPY [${copySource(from)}, "${APP_FOLDER}/"]`];
}

function words(packages: readonly string[]): string {
  return packages.map(shellWord).join(" ");
}
