import { mountedAt, mounts } from "./credential-files.ts";
import { copySource } from "./dockerfile-words.ts";

/** An environment file, a lock file of conda-lock, or a pixi.lock with its pixi.toml beside it. */
export interface CondaPackages {
  readonly file: string;
}

const PROJECT = "/opt/berth/conda-project";
const PREFIX = "/opt/berth/conda";
const HOME = "/tmp/conda-home";
/** conda and pixi take the variable; micromamba looks in the home alone, where a mount would leave an empty file. */
const KNOWN = `export NETRC=${mountedAt("netrc")} HOME=${HOME} && mkdir ${HOME} && ln -s $NETRC ${HOME}/.netrc`;
const NO_TOOL = "the base image has no micromamba and no conda: take one that has, such as mambaorg/micromamba:2";

/** The base image brings the tool: it comes from no registry that the others come from. */
export function condaPackages(conda: CondaPackages | undefined, hasCredentials: boolean): string[] {
  if (conda === undefined) return [];
  const run = hasCredentials ? `RUN ${mounts(["netrc"])}${KNOWN} && ` : "RUN ";
  const copy = `COPY [${condaFiles(conda).map(copySource).join(", ")}, "${PROJECT}/"]`;
  if (isPixi(conda)) {
    const bin = `${PROJECT}/.pixi/envs/default`;
    return [
      copy,
      `${run}cd ${PROJECT} && pixi install --locked${hasCredentials ? ` && rm -r ${HOME}` : ""}`,
      `ENV CONDA_PREFIX=${bin} PATH="${bin}/bin:$PATH"`,
    ];
  }
  const name = conda.file.replace(/^.*\//, "");
  const file = `'${PROJECT}/${name.replaceAll("'", `'\\''`)}'`;
  const options = `--yes --prefix ${PREFIX} --file ${file}`;
  // conda reads a lock of single URLs by `create`, and an environment file by `env create`; micromamba tells them apart.
  const withConda = /\.ya?ml$/.test(name)
    ? `conda env create ${options.replace("--yes ", "")}`
    : `conda create ${options}`;
  const choose = `if command -v micromamba >/dev/null; then micromamba create ${options}`;
  const fallback = `elif command -v conda >/dev/null; then ${withConda}; else echo '${NO_TOOL}' >&2; exit 1; fi`;
  return [
    copy,
    `${run}{ ${choose}; ${fallback}; }${hasCredentials ? ` && rm -r ${HOME}` : ""}`,
    `ENV CONDA_PREFIX=${PREFIX} PATH="${PREFIX}/bin:$PATH"`,
  ];
}

export function condaFiles(conda: CondaPackages | undefined): string[] {
  if (conda === undefined) return [];
  return isPixi(conda) ? [conda.file.replace(/[^/]*$/, "pixi.toml"), conda.file] : [conda.file];
}

function isPixi({ file }: CondaPackages): boolean {
  return /(^|\/)pixi\.lock$/.test(file);
}
