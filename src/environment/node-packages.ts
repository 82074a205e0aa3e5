import { mountedAt, mounts } from "./credential-files.ts";
import { copySource, copyTarget, environmentValue, shellWord } from "./dockerfile-words.ts";
import { isYarnLock, nodeFiles } from "./node-lock-file.ts";
import { type NodeRegistries, writeRegistries } from "./node-registries.ts";

/** Where the source lies in the image, and where steps start. */
export const APP_FOLDER = "/app";

export interface NodePackages extends NodeRegistries {
  readonly lockfile: string | null;
  readonly packages: readonly string[];
  /** The package manager and its exact version, `pnpm@10.34.8`; left out for that of the lock file. */
  readonly manager?: string | undefined;
}

interface NodeOptions {
  /** The folder that is copied to APP_FOLDER. */
  readonly source: string | null;
  /** Whether credentials are mounted. */
  readonly hasCredentials: boolean;
}

/** What is taken where neither the file nor the project says which: exact, so that a build is the same next year. */
const PNPM = "10.34.8";
const YARN_1 = "1.22.22";
const YARN = "4.18.1";

/** Variables of the build, which are not in the image; pnpm and yarn take no harm from them. */
const SETTINGS = [
  "ARG NPM_CONFIG_AUDIT=false",
  "ARG NPM_CONFIG_FUND=false",
  "ARG NPM_CONFIG_UPDATE_NOTIFIER=false",
  "ARG NPM_CONFIG_CACHE=/tmp/npm-cache",
];
const TOOL = "/tmp/node-tool";
const HOME = `${TOOL}/home`;
const CLEAN = `rm -rf /tmp/npm-cache ${TOOL} /tmp/pnpm-store /tmp/yarn-cache`;

/** The lines that install Node packages where the source will lie, so that Node finds them from there. */
export function nodePackages(node: NodePackages | null, options: NodeOptions): string[] {
  if (node === null) return [];
  const folder = installFolder(node.lockfile, options.source);
  const isYarn = isYarnLock(node.lockfile);
  const lines: string[] = [...SETTINGS];
  if (node.lockfile !== null) {
    const files = nodeFiles(node.lockfile).map(copySource).join(", ");
    lines.push(`COPY [${files}, ${copyTarget(folder)}]`);
    lines.push(run(node, folder, options.hasCredentials, { isYarn, install: lockedInstall(node, node.lockfile) }));
  }
  if (node.packages.length > 0) {
    const install = `${npm(node, "install --no-save")} ${node.packages.map(shellWord).join(" ")}`;
    lines.push(run(node, folder, options.hasCredentials, { isYarn: false, install }));
  }
  // The path of the image goes on behind it, so this is the one `$` that is meant.
  lines.push(`ENV PATH="${environmentValue(`${folder}/node_modules/.bin`)}:$PATH"`);
  return lines;
}

function run(
  node: NodePackages,
  folder: string,
  hasCredentials: boolean,
  { isYarn, install }: { readonly isYarn: boolean; readonly install: string },
): string {
  const { before, after } = writeRegistries(node);
  const mounted = hasCredentials ? mounts(isYarn ? ["npmrc", "yarnrc"] : ["npmrc"]) : "";
  const known = [
    ...(hasCredentials ? [`export NPM_CONFIG_USERCONFIG=${mountedAt("npmrc")}`] : []),
    // A yarn looks for it in the home alone; a mount there would leave an empty file in the image.
    ...(hasCredentials && isYarn
      ? [`mkdir -p ${HOME}`, `ln -s ${mountedAt("yarnrc")} ${HOME}/.yarnrc.yml`, `export HOME=${HOME}`]
      : []),
  ];
  const prepare = known.map((command) => `${command} && `).join("");
  return `RUN ${mounted}cd ${shellWord(folder)} && ${prepare}${before}${install}${after} && ${CLEAN}`;
}

/** Fails where the lock file does not fit package.json; the tool itself comes from npm and does not stay. */
function lockedInstall(node: NodePackages, lockfile: string): string {
  if (lockfile.endsWith("pnpm-lock.yaml")) {
    const install = `CI=true ${TOOL}/bin/pnpm install --frozen-lockfile --store-dir /tmp/pnpm-store`;
    return `${chooseVersion("pnpm", node.manager, PNPM)} && ${installTool(node, "pnpm")} && ${install}`;
  }
  if (!isYarnLock(lockfile)) return npm(node, "ci");
  // The two kinds of yarn write different files of the same name.
  const fallback = `$(if grep -q '^__metadata:' yarn.lock; then echo ${YARN}; else echo ${YARN_1}; fi)`;
  const choose = chooseVersion("yarn", node.manager, fallback);
  return `${choose} && case $version in 1.*) ${yarn1(node)};; *) ${yarn(node)};; esac`;
}

/** Sets `version`, to that of the manager which the environment or package.json names, or to the other one. */
function chooseVersion(tool: string, manager: string | undefined, fallback: string): string {
  if (manager !== undefined) return `version=${shellWord(manager.slice(manager.lastIndexOf("@") + 1))}`;
  const named = `/^${tool}@([0-9]+[.][0-9]+[.][0-9]+[A-Za-z0-9.-]*)/.exec(require("./package.json").packageManager)?.[1]`;
  return `version=$(node -p '${named} ?? ""') && version=\${version:-${fallback}}`;
}

function yarn1(node: NodePackages): string {
  const install = "install --frozen-lockfile --non-interactive --cache-folder /tmp/yarn-cache";
  // Without this it asks only for packages of a scope with credentials.
  return `${installTool(node, "yarn")} && npm_config_always_auth=true ${TOOL}/bin/yarn ${install}`;
}

function yarn(node: NodePackages): string {
  const settings = "YARN_NODE_LINKER=node-modules YARN_GLOBAL_FOLDER=/tmp/yarn-cache YARN_ENABLE_TELEMETRY=0";
  return `${installTool(node, "@yarnpkg/cli-dist")} && ${settings} ${TOOL}/bin/yarn install --immutable`;
}

/** In the version of `version`. */
function installTool(node: NodePackages, tool: string): string {
  return `${npm(node, `install --global --prefix ${TOOL}`)} "${tool}@$version"`;
}

/** The registry as an option: for what it installs globally, npm reads no file of the folder. */
function npm({ registry }: NodeRegistries, command: string): string {
  return `npm ${command}${registry === undefined ? "" : ` --registry ${shellWord(registry)}`}`;
}

/** Where the lockfile will lie once the source is copied. */
function installFolder(lockfile: string | null, from: string | null): string {
  const folder = lockfile === null ? "" : lockfile.split("/").slice(0, -1).join("/");
  const root = from === null || from === "." ? "" : from;
  const isInside = root === "" || folder === root || folder.startsWith(`${root}/`);
  const below = isInside ? folder.slice(root.length).replace(/^\//, "") : "";
  return below === "" ? APP_FOLDER : `${APP_FOLDER}/${below}`;
}
