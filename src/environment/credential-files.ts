import type { IndexCredentials } from "../protocol/plan.ts";
import type { Recipe } from "./dockerfile.ts";
import { isYarnLock } from "./node-lock-file.ts";
import { registriesOf } from "./node-registries.ts";

/**
 * What proves to package indexes who asks, in the files that installers read: apt an auth.conf; pip, uv and conda a netrc; npm,
 * pnpm and yarn 1 an npmrc; later yarns a yarnrc. A build mounts one for the RUN that needs it, so none is in a layer; the Dockerfile, and
 * with it the image's key, knows neither host, user nor secret.
 */
export type CredentialFile = "aptauth" | "netrc" | "npmrc" | "yarnrc";

/** A value that the form of a file cannot hold. */
export class CredentialProblem extends Error {
  override readonly name = "CredentialProblem";
}

/** What PyPI and those who follow it take as the user of a token. */
const TOKEN_USER = "__token__";

/** Those that the build of a recipe mounts; none where it names no credentials. */
export function credentialFiles({ apt, conda, python, node, credentials }: Recipe): CredentialFile[] {
  if (credentials === undefined) return [];
  const files: CredentialFile[] = [];
  if (apt.length > 0) files.push("aptauth");
  if (python !== null || conda !== undefined) files.push("netrc");
  if (node !== null) files.push("npmrc");
  if (node !== null && isYarnLock(node.lockfile)) files.push("yarnrc");
  return files;
}

/** The options of a RUN that mounts these; without one of them the build fails at once. */
export function mounts(files: readonly CredentialFile[]): string {
  return files.map((file) => `--mount=type=secret,id=${file},required=true `).join("");
}

export function mountedAt(file: CredentialFile): string {
  return `/run/secrets/${file}`;
}

/** The text of a file; `value` gives the value of a secret by its name. Throws CredentialProblem. */
export function credentialText(file: CredentialFile, recipe: Recipe, value: (secret: string) => string): string {
  const entries = Object.entries(recipe.credentials ?? {}).map(([host, { user, secret }]) => {
    return { host, user, value: checked(secret, value(secret), user === undefined) };
  });
  if (file === "aptauth") return lines(entries.map(netrcLine));
  // Everything but apt takes the name of a host for all of its ports.
  if (file === "netrc")
    return lines(entries.map((entry) => netrcLine({ ...entry, host: entry.host.replace(/:\d+$/, "") })));
  if (file === "npmrc") return lines(entries.flatMap((entry) => npmrcLines(entry, recipe)));
  return `${JSON.stringify({ npmRegistries: Object.assign({}, ...entries.map((entry) => yarnRegistries(entry, recipe))) })}\n`;
}

interface Entry {
  readonly host: string;
  readonly user: IndexCredentials[string]["user"];
  readonly value: string;
}

/** No installer of these agrees with the others on how anything else is quoted; and `${` would be replaced. */
function checked(secret: string, value: string, isToken: boolean): string {
  const text = value.replace(/\r?\n$/, "");
  if (isToken ? /^[A-Za-z0-9._~+/=:|-]+$/.test(text) : /^(?!#)[!-~]+$/.test(text) && !/["'\\]|\$\{/.test(text))
    return text;
  const holds = isToken
    ? "a token holds letters, digits and ._~+/=:|- alone"
    : "a password that an installer can read holds printable ASCII alone, without blanks, quotes, backslashes and ${";
  throw new CredentialProblem(`The value of the secret ${secret} cannot be given to an installer: ${holds}.`);
}

function netrcLine({ host, user, value }: Entry): string {
  return `machine ${host} login ${user ?? TOKEN_USER} password ${value}`;
}

function npmrcLines({ host, user, value }: Entry, { node }: Recipe): string[] {
  const proof = user === undefined ? `_authToken=${value}` : `_auth=${basic(user, value)}`;
  // yarn 1 knows no registry by its host alone.
  return places(host, node).map((place) => `${place}/:${proof}`);
}

function yarnRegistries({ host, user, value }: Entry, { node }: Recipe): Record<string, object> {
  const proof = user === undefined ? { npmAuthToken: value } : { npmAuthIdent: `${user}:${value}` };
  return Object.fromEntries(places(host, node).map((place) => [place, { npmAlwaysAuth: true, ...proof }]));
}

/** `//host`, and the registries below it. */
function places(host: string, node: Recipe["node"]): string[] {
  const registries = registriesOf(node).map((url) => url.replace(/^https?:/, "").replace(/\/+$/, ""));
  return [...new Set([`//${host}`, ...registries.filter((place) => `${place}/`.startsWith(`//${host}/`))])];
}

function basic(user: string, value: string): string {
  return Buffer.from(`${user}:${value}`).toString("base64");
}

function lines(all: readonly string[]): string {
  return all.map((line) => `${line}\n`).join("");
}
