import { mountedAt, mounts } from "./credential-files.ts";
import { copySource, shellWord } from "./dockerfile-words.ts";

export interface PythonPackages {
  readonly requirements: string | null;
  readonly packages: readonly string[];
  /** uv.lock, with its pyproject.toml beside it; left out for none. */
  readonly lockfile?: string | undefined;
  /** Addresses of indexes, the first in place of PyPI; left out for that. */
  readonly indexes?: readonly string[] | undefined;
}

/** `python3 -m pip`, because Debian has neither `python` nor, always, `pip`. */
const PIP = "python3 -m pip install --no-cache-dir";
/**
 * Debian's Python refuses packages beside its own (PEP 668); in an image that is what we are here for. As variables of the
 * build these disturb no pip that is too old to know them, and are not in the image.
 */
const SETTINGS = [
  "ARG PIP_BREAK_SYSTEM_PACKAGES=1",
  "ARG PIP_DISABLE_PIP_VERSION_CHECK=1",
  // An index that refuses is told at once; nobody is there to be asked for a password.
  "ARG PIP_NO_INPUT=1",
  "ARG PIP_ROOT_USER_ACTION=ignore",
];
const LOG = "/tmp/pip.log";

/** Exact, so that a build is the same next year. */
const UV = "uv==0.13.9";
const UV_FOLDER = "/tmp/uv";
const PROJECT = "/opt/berth/project";
const VENV = "/opt/berth/venv";

export function pythonPackages(python: PythonPackages | null, hasCredentials: boolean): string[] {
  if (python === null) return [];
  const run = hasCredentials ? `RUN ${mounts(["netrc"])}export NETRC=${mountedAt("netrc")}; ` : "RUN ";
  const pip = pipOf(python, hasCredentials);
  const lines: string[] = [...SETTINGS];
  if (python.requirements !== null) {
    const inside = "/opt/berth/requirements.txt";
    lines.push(`COPY [${copySource(python.requirements)}, "${inside}"]`, run + pip(`--requirement ${inside}`));
  }
  if (python.lockfile !== undefined) lines.push(...locked(python.lockfile, { run, pip }));
  if (python.packages.length > 0) lines.push(run + pip(python.packages.map(shellWord).join(" ")));
  return lines;
}

/** The files that a Python part names. */
export function pythonFiles(python: PythonPackages | null): string[] {
  if (python === null) return [];
  const { requirements, lockfile } = python;
  return [...(requirements === null ? [] : [requirements]), ...(lockfile === undefined ? [] : projectFiles(lockfile))];
}

/**
 * What the lock file names, in an environment of its own in front of the PATH, with the Python of the base; neither the
 * project itself, whose code is not there yet, nor its development group. `--locked` fails where the file is stale.
 */
function locked(lockfile: string, { run, pip }: { readonly run: string; readonly pip: Pip }): string[] {
  const settings = `UV_PYTHON_DOWNLOADS=never UV_PROJECT_ENVIRONMENT=${VENV} UV_NO_CACHE=1`;
  const install = pip(`--target ${UV_FOLDER} ${UV}`);
  const sync = `${settings} ${UV_FOLDER}/bin/uv sync --locked --no-dev --no-install-project --no-progress`;
  return [
    `COPY [${projectFiles(lockfile).map(copySource).join(", ")}, "${PROJECT}/"]`,
    `${run}${install} && cd ${PROJECT} && ${sync} && rm -rf ${UV_FOLDER}`,
    `ENV VIRTUAL_ENV=${VENV} PATH="${VENV}/bin:$PATH"`,
  ];
}

type Pip = (what: string) => string;

/** Of an index that refuses or does not answer pip says only in its log that, and goes on as if it had no such package. */
function pipOf({ indexes = [] }: PythonPackages, hasCredentials: boolean): Pip {
  const asked = indexes
    .map((url, at) => ` ${at === 0 ? "--index-url" : "--extra-index-url"} ${shellWord(url)}`)
    .join("");
  if (asked === "" && !hasCredentials) return (what) => `${PIP} ${what}`;
  const tell = `{ grep 'Could not fetch URL' ${LOG} >&2; exit 1; } && rm ${LOG}`;
  return (what) => `${PIP}${asked} --log ${LOG} ${what} || ${tell}`;
}

function projectFiles(lockfile: string): string[] {
  return [lockfile.replace(/[^/]*$/, "pyproject.toml"), lockfile];
}
