import { z } from "zod";
import type { Endpoint } from "../api/client.ts";
import { usageError } from "../cli-error.ts";
import { berthHome, homeFiles, readIfPresent } from "./home.ts";

/** `--server` and `--token` of a command. */
export interface ServerChoice {
  readonly server?: string | undefined;
  readonly token?: string | undefined;
}

const ConfigFile = z.strictObject({ server: z.url(), token: z.string() });

type Environment = Readonly<Record<string, string | undefined>>;

/**
 * The server that was configured, by option, environment or config.json, in this order; null when none was, which
 * means the embedded platform. A token given alone belongs to no server and is refused rather than ignored.
 */
export function configuredEndpoint(env: Environment, choice: ServerChoice): Endpoint | null {
  const token = choice.token ?? nonEmpty(env.BERTH_TOKEN);
  const server = choice.server ?? nonEmpty(env.BERTH_SERVER);
  if (server !== undefined) {
    if (token === undefined) {
      throw usageError(
        `There is no token for ${server}.`,
        "Give one by --token or BERTH_TOKEN; `berth token create` makes them.",
      );
    }
    return { url: checkedUrl(server), token };
  }
  const file = configFile(env);
  if (file !== null) return { url: checkedUrl(file.server), token: token ?? file.token };
  if (choice.token !== undefined) {
    throw usageError(
      "--token was given without a server.",
      "Name the server by --server, BERTH_SERVER or config.json.",
    );
  }
  return null;
}

function configFile(env: Environment): z.infer<typeof ConfigFile> | null {
  const path = homeFiles(berthHome(env)).config;
  const text = readIfPresent(path);
  if (text === null) return null;
  const parsed = ConfigFile.safeParse(parseOrNull(text));
  if (parsed.success) return parsed.data;
  throw usageError(
    `${path} is not a configuration of Berth.`,
    'It is to read { "server": "https://…", "token": "…" }.',
  );
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
