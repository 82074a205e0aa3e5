import { copySource, copyTarget, environmentValue, shellWord } from "./dockerfile-words.ts";

/** Where the source lies in the image, and where steps start. */
export const APP_FOLDER = "/app";

export interface NodePackages {
  readonly lockfile: string | null;
  readonly packages: readonly string[];
  /** The package manager and its exact version, `pnpm@10.34.8`; left out for that of the lock file. */
  readonly manager?: string | undefined;
}

/** What is taken where neither the file nor the project says which: exact, so that a build is the same next year. */
const PNPM = "pnpm@10.34.8";
const YARN = "yarn@1.22.22";
const BERRY = "@yarnpkg/cli-dist@4.18.1";

const NPM_OPTIONS = "--no-audit --no-fund --no-update-notifier --cache /tmp/npm-cache";
const TOOL = "/tmp/node-tool";
const CLEAN = `rm -rf /tmp/npm-cache ${TOOL} /tmp/pnpm-store /tmp/yarn-cache`;

/** The lines that install Node packages where the source will lie, so that Node finds them from there. */
export function nodePackages(node: NodePackages | null, source: string | null): string[] {
  if (node === null) return [];
  const folder = installFolder(node.lockfile, source);
  const lines: string[] = [];
  if (node.lockfile !== null) {
    const files = nodeFiles(node.lockfile).map(copySource).join(", ");
    lines.push(`COPY [${files}, ${copyTarget(folder)}]`);
    lines.push(`RUN cd ${shellWord(folder)} && ${lockedInstall(node.lockfile, node.manager)} && ${CLEAN}`);
  }
  if (node.packages.length > 0) {
    const install = `npm install --no-save ${NPM_OPTIONS} ${node.packages.map(shellWord).join(" ")}`;
    lines.push(`RUN cd ${shellWord(folder)} && ${install} && ${CLEAN}`);
  }
  // The path of the image goes on behind it, so this is the one `$` that is meant.
  lines.push(`ENV PATH="${environmentValue(`${folder}/node_modules/.bin`)}:$PATH"`);
  return lines;
}

/** `package.json` beside the lock file, and the lock file. */
export function nodeFiles(lockfile: string): string[] {
  return [lockfile.replace(/[^/]*$/, "package.json"), lockfile];
}

/** Fails where the lock file does not fit package.json; the tool itself comes from npm and does not stay. */
function lockedInstall(lockfile: string, manager: string | undefined): string {
  if (lockfile.endsWith("pnpm-lock.yaml")) {
    const install = `${TOOL}/bin/pnpm install --frozen-lockfile --store-dir /tmp/pnpm-store`;
    return `${installTool(manager ?? PNPM)} && CI=true ${install}`;
  }
  if (!lockfile.endsWith("yarn.lock")) return `npm ci ${NPM_OPTIONS}`;
  if (manager !== undefined) return yarn(manager);
  // The two kinds of yarn write different files of the same name.
  return `if grep -q '^__metadata:' yarn.lock; then ${yarn(BERRY)}; else ${yarn(YARN)}; fi`;
}

function yarn(manager: string): string {
  const version = manager.slice(manager.lastIndexOf("@") + 1);
  if (version.startsWith("1.")) {
    const install = "install --frozen-lockfile --non-interactive --cache-folder /tmp/yarn-cache";
    return `${installTool(`yarn@${version}`)} && ${TOOL}/bin/yarn ${install}`;
  }
  const settings = "YARN_NODE_LINKER=node-modules YARN_GLOBAL_FOLDER=/tmp/yarn-cache YARN_ENABLE_TELEMETRY=0";
  return `${installTool(`@yarnpkg/cli-dist@${version}`)} && ${settings} ${TOOL}/bin/yarn install --immutable`;
}

function installTool(tool: string): string {
  return `npm install --global --prefix ${TOOL} ${NPM_OPTIONS} ${shellWord(tool)}`;
}

/** Where the lockfile will lie once the source is copied. */
function installFolder(lockfile: string | null, from: string | null): string {
  const folder = lockfile === null ? "" : lockfile.split("/").slice(0, -1).join("/");
  const root = from === null || from === "." ? "" : from;
  const isInside = root === "" || folder === root || folder.startsWith(`${root}/`);
  const below = isInside ? folder.slice(root.length).replace(/^\//, "") : "";
  return below === "" ? APP_FOLDER : `${APP_FOLDER}/${below}`;
}
