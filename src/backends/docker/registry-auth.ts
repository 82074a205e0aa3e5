import { spawn } from "node:child_process";
import { readFileSync } from "node:fs";
import { homedir } from "node:os";
import { join } from "node:path";
import { text } from "node:stream/consumers";
import { z } from "zod";
import { errnoOf } from "../../std/errno.ts";

/** The part of the docker command's configuration that says how to log in. */
const DockerConfig = z.object({
  auths: z
    .record(z.string(), z.object({ auth: z.string().optional(), identitytoken: z.string().optional() }))
    .optional(),
  credsStore: z.string().optional(),
  credHelpers: z.record(z.string(), z.string()).optional(),
});
type DockerConfig = z.infer<typeof DockerConfig>;

export interface RegistryCredentials {
  readonly username?: string;
  readonly password?: string;
  readonly identitytoken?: string;
}

const HELPER_TIMEOUT_MS = 15_000;
/** Docker Hub's credentials are kept under its oldest address. */
export const DOCKER_HUB = "https://index.docker.io/v1/";

/**
 * How to log in to a registry, from what `docker login` left on this host; null without credentials. Throws a plain Error,
 * for people, when there are some that cannot be used.
 */
export async function registryCredentials(
  registry: string,
  environment: NodeJS.ProcessEnv,
): Promise<RegistryCredentials | null> {
  const config = readConfig(environment);
  return config === null ? null : findCredentials(config, registry === "docker.io" ? DOCKER_HUB : registry);
}

function readConfig(environment: NodeJS.ProcessEnv): DockerConfig | null {
  const file = join(environment.DOCKER_CONFIG || join(homedir(), ".docker"), "config.json");
  let content: string;
  try {
    content = readFileSync(file, "utf8");
  } catch (error) {
    if (errnoOf(error) === "ENOENT") return null;
    throw new Error(`The registry credentials in ${file} cannot be read: ${(error as Error).message}`, {
      cause: error,
    });
  }
  try {
    return DockerConfig.parse(JSON.parse(content));
  } catch (error) {
    throw new Error(`${file} is not a configuration of the docker command.`, { cause: error });
  }
}

async function findCredentials(config: DockerConfig, address: string): Promise<RegistryCredentials | null> {
  const helper = config.credHelpers?.[address] ?? config.credsStore;
  if (helper !== undefined && helper !== "") return askHelper(helper, address);
  const entry = config.auths?.[address] ?? config.auths?.[`https://${address}`];
  if (entry?.identitytoken) return { identitytoken: entry.identitytoken };
  if (!entry?.auth) return null;
  const [username = "", ...password] = Buffer.from(entry.auth, "base64").toString("utf8").split(":");
  return { username, password: password.join(":").replace(/\0+$/, "") };
}

async function askHelper(helper: string, address: string): Promise<RegistryCredentials | null> {
  const child = spawn(`docker-credential-${helper}`, ["get"], {
    stdio: ["pipe", "pipe", "ignore"],
    timeout: HELPER_TIMEOUT_MS,
  });
  const failed = new Promise<never>((_, reject) => child.once("error", reject));
  child.stdin.on("error", () => {}); // The helper may end before it read its input; its exit code says so.
  child.stdin.end(address);
  const ended = new Promise<number | null>((resolve) => child.once("close", resolve));
  const [answer, code] = await Promise.race([Promise.all([text(child.stdout), ended]), failed]).catch((error) => {
    throw new Error(`The credential helper docker-credential-${helper} did not run: ${error.message}`, {
      cause: error,
    });
  });
  // Helpers exit with 1 when they hold nothing for this registry.
  if (code !== 0) return null;
  const { Username, Secret } = z.object({ Username: z.string(), Secret: z.string() }).parse(JSON.parse(answer));
  return Username === "<token>" ? { identitytoken: Secret } : { username: Username, password: Secret };
}
