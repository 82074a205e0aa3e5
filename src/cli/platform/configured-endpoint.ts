import { z } from "zod";
import type { TrustChoice } from "../../std/tls-trust.ts";
import { usageError } from "../cli-error.ts";
import { berthHome, homeFiles, readIfPresent } from "./home.ts";

/** What the options of a command say about its server. */
export interface ServerChoice {
  readonly server?: string | undefined;
  readonly token?: string | undefined;
  readonly caFile?: string | undefined;
  readonly caFingerprint?: string | undefined;
}

/** A server that was named, and by what it is to be known. */
export interface ConfiguredEndpoint {
  readonly url: string;
  readonly token: string;
  readonly trust: TrustChoice;
}

const ConfigFile = z.strictObject({
  server: z.url(),
  token: z.string(),
  caFile: z.string().optional(),
  caFingerprint: z.string().optional(),
});

type Environment = Readonly<Record<string, string | undefined>>;

/**
 * The server that was configured, by option, environment or config.json, in this order; null when none was, which
 * means the embedded platform. A token given alone belongs to no server and is refused rather than ignored.
 */
export function configuredEndpoint(env: Environment, choice: ServerChoice): ConfiguredEndpoint | null {
  const token = choice.token ?? nonEmpty(env.BERTH_TOKEN);
  const server = choice.server ?? nonEmpty(env.BERTH_SERVER);
  if (server !== undefined) {
    if (token === undefined) {
      throw usageError(
        `There is no token for ${server}.`,
        "Give one by --token or BERTH_TOKEN; `berth token create` makes them, and `berth login` one for you.",
      );
    }
    return { url: checkedUrl(server), token, trust: trustOf(env, choice) ?? {} };
  }
  const file = readConfigFile(berthHome(env));
  if (file !== null) {
    return { url: checkedUrl(file.server), token: token ?? file.token, trust: trustOf(env, choice) ?? trustIn(file) };
  }
  if (choice.token !== undefined) {
    throw usageError(
      "--token was given without a server.",
      "Name the server by --server, BERTH_SERVER or config.json.",
    );
  }
  return null;
}

/** From one place as a whole: an option replaces a variable that says it in the other way. */
function trustOf(env: Environment, { caFile, caFingerprint }: ServerChoice): TrustChoice | null {
  const chosen = [
    { caFile, caFingerprint },
    { caFile: nonEmpty(env.BERTH_CA_FILE), caFingerprint: nonEmpty(env.BERTH_CA_FINGERPRINT) },
  ];
  return chosen.find((trust) => (trust.caFile ?? trust.caFingerprint) !== undefined) ?? null;
}

/** What config.json of a home says; null where there is none. */
export function readConfigFile(home: string): z.infer<typeof ConfigFile> | null {
  const path = homeFiles(home).config;
  const text = readIfPresent(path);
  if (text === null) return null;
  const parsed = ConfigFile.safeParse(parseOrNull(text));
  if (parsed.success) return parsed.data;
  throw usageError(
    `${path} is not a configuration of Berth.`,
    'It is to read { "server": "https://…", "token": "…" }.',
  );
}

function trustIn({ caFile, caFingerprint }: z.infer<typeof ConfigFile>): TrustChoice {
  return { caFile, caFingerprint };
}

function checkedUrl(server: string): string {
  const url = URL.parse(server);
  if (url !== null && (url.protocol === "http:" || url.protocol === "https:")) return server;
  throw usageError(`"${server}" is not the address of a server.`, "It is to look like https://berth.example.com:7411.");
}

function nonEmpty(value: string | undefined): string | undefined {
  return value === "" ? undefined : value;
}

function parseOrNull(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return null;
  }
}
