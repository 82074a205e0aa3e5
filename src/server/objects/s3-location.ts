import { BerthError } from "../../protocol/errors.ts";
import { checkKey } from "./object-store.ts";

/** `s3://bucket/prefix?endpoint=https://…&region=…`: where the objects of a store lie, without any credentials. */
export interface S3Location {
  readonly bucket: string;
  /** Of every key: empty, or ending with "/". */
  readonly prefix: string;
  /** Of a server that is not AWS, or null. */
  readonly endpoint: string | null;
  /** Null: us-east-1 with an endpoint, else what the environment or the profile of the SDK says. */
  readonly region: string | null;
  /** `https://host/bucket/key` instead of `https://bucket.host/key`; the default with an endpoint. */
  readonly pathStyle: boolean;
  /** Of ~/.aws/config and ~/.aws/credentials; null is the default one. */
  readonly profile: string | null;
  /** What agents reach the store by, where that is another address than the server's. */
  readonly directEndpoint: string | null;
  /** False: agents transfer through the server, as where they cannot reach the store. */
  readonly direct: boolean;
}

const BUCKET = /^[a-z0-9](?:[a-z0-9.-]{1,61})[a-z0-9]$/;
/** A key of S3 has 1,024 bytes at most, and one of ours 512. */
const PREFIX_MAX_CHARS = 500;
const PARAMETERS = ["endpoint", "region", "path-style", "profile", "direct-endpoint", "direct"] as const;
type Parameter = (typeof PARAMETERS)[number];

/** `setting` is the name of the variable that holds the text, for errors. */
export function parseS3Location(text: string, setting: string): S3Location {
  const url = URL.parse(text);
  const invalid = (what: string) =>
    new BerthError("invalid_request", `${setting}: ${what}`, {
      advice:
        "It is to look like s3://bucket/prefix or s3://bucket/prefix?endpoint=https://host:9000&region=us-east-1.",
    });
  if (url?.protocol !== "s3:") throw invalid("this is no address of a bucket.");
  // What it holds may be a secret, so it is not repeated.
  if (url.username !== "" || url.password !== "") {
    throw invalid("credentials do not belong here. Set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or a profile.");
  }
  const bucket = url.host;
  if (!BUCKET.test(bucket)) throw invalid(`"${bucket}" cannot be the name of a bucket.`);
  const prefix = url.pathname.replace(/^\/+|\/+$/g, "");
  // An address is made shorter by its dots before anybody looks at it.
  const hasDots = /\/(?:\.|%2e){1,2}(?:[/?]|$)/i.test(text);
  if (hasDots || prefix.length > PREFIX_MAX_CHARS || (prefix !== "" && !isKey(prefix))) {
    throw invalid(
      `the prefix "${prefix.slice(0, 100)}" may hold letters, digits, "_", "-", single dots, and "/" between names.`,
    );
  }
  const given = parametersOf(url, invalid);
  const endpoint = endpointOf(given, "endpoint", invalid);
  return {
    bucket,
    prefix: prefix === "" ? "" : `${prefix}/`,
    endpoint,
    region: given.get("region") ?? null,
    pathStyle: flagOf(given, "path-style", invalid) ?? endpoint !== null,
    profile: given.get("profile") ?? null,
    directEndpoint: endpointOf(given, "direct-endpoint", invalid),
    direct: flagOf(given, "direct", invalid) ?? true,
  };
}

function isKey(text: string): boolean {
  try {
    checkKey(text);
    return true;
  } catch {
    return false;
  }
}

function parametersOf(url: URL, invalid: (what: string) => BerthError): Map<Parameter, string> {
  const given = new Map<Parameter, string>();
  for (const [name, value] of url.searchParams) {
    const known = PARAMETERS.find((parameter) => parameter === name);
    if (known === undefined) throw invalid(`unknown parameter "${name}"; there are ${PARAMETERS.join(", ")}.`);
    if (given.has(known)) throw invalid(`"${name}" is given twice.`);
    if (value === "") throw invalid(`"${name}" has no value.`);
    given.set(known, value);
  }
  return given;
}

function flagOf(
  given: ReadonlyMap<Parameter, string>,
  name: Parameter,
  invalid: (what: string) => BerthError,
): boolean | null {
  const value = given.get(name);
  if (value === undefined) return null;
  if (value !== "true" && value !== "false") throw invalid(`"${name}" is true or false, not "${value}".`);
  return value === "true";
}

function endpointOf(
  given: ReadonlyMap<Parameter, string>,
  name: Parameter,
  invalid: (what: string) => BerthError,
): string | null {
  const value = given.get(name);
  if (value === undefined) return null;
  const url = URL.parse(value);
  if (url === null || !/^https?:$/.test(url.protocol) || url.username !== "" || url.search !== "") {
    throw invalid(`"${name}" is to be an address such as https://host:9000.`);
  }
  return url.href.replace(/\/+$/, "");
}
