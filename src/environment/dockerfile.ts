import type { Environment } from "../protocol/plan.ts";
import { condaPackages } from "./conda-packages.ts";
import { mountedAt, mounts } from "./credential-files.ts";
import { copySource, environmentValue, shellWord } from "./dockerfile-words.ts";
import { APP_FOLDER, nodePackages } from "./node-packages.ts";
import { pythonPackages } from "./python-packages.ts";

export type Recipe = Extract<Environment, { kind: "recipe" }>;

/**
 * The Dockerfile of a recipe. What changes seldom comes first, so that a change of the source installs nothing again:
 * base, system packages, those of conda, of Python and of Node, variables, source. Its context is the source folder.
 *
 * It builds as root with any builder, the classic one included where it names no credentials, and the result works for any user: what is installed
 * belongs to root and is readable by all, as long as the files of the context are.
 */
export function generateDockerfile(recipe: Recipe): string {
  const hasCredentials = recipe.credentials !== undefined;
  return `${[
    base(recipe),
    aptPackages(recipe),
    condaPackages(recipe.conda, hasCredentials),
    pythonPackages(recipe.python, hasCredentials),
    nodePackages(recipe.node, { source: recipe.source, hasCredentials }),
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
    // The base may have set another user; what is installed belongs to root, and steps get theirs at the start. In numbers,
    // because a small base has no list of users and groups.
    "USER 0:0",
    `WORKDIR ${APP_FOLDER}`,
    // Without it Python keeps its output back until a buffer is full, and a log would show nothing for minutes.
    "ENV PYTHONUNBUFFERED=1",
  ];
}

function aptPackages({ apt, credentials }: Recipe): string[] {
  if (apt.length === 0) return [];
  const hasCredentials = credentials !== undefined;
  const get = `apt-get${hasCredentials ? ` -o Dir::Etc::netrc=${mountedAt("aptauth")}` : ""}`;
  const install = `DEBIAN_FRONTEND=noninteractive ${get} install --yes --no-install-recommends`;
  return [
    `RUN ${hasCredentials ? mounts(["aptauth"]) : ""}${get} update \\\n && ${install} ${words(apt.toSorted())} \\\n && rm -rf /var/lib/apt/lists/*`,
  ];
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
