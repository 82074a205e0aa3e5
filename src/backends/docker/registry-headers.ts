import { registryOf } from "../../std/image-repository.ts";
import type { ImageRequest, ReadyImage, RegistryLogin } from "../image-request.ts";
import { DOCKER_HUB, type RegistryCredentials, registryCredentials } from "./registry-auth.ts";

type Wanted = Pick<ImageRequest, "logins">;

/**
 * The run's own login for a registry, or else what `docker login` left on this host; null without either. Throws a plain
 * Error, for people, when there is something that cannot be used.
 */
export async function credentialsFor(
  registry: string,
  { logins }: Wanted,
  signal: AbortSignal,
): Promise<RegistryCredentials | null> {
  const own = (await logins?.(signal))?.find(({ host }) => host === registry);
  return own === undefined ? registryCredentials(registry, process.env) : ownCredentials(own);
}

/** The `X-Registry-Auth` header of a pull; null without credentials. */
export async function pullHeader(request: ReadyImage, signal: AbortSignal): Promise<string | null> {
  const registry = registryOf(request.image);
  const credentials = await credentialsFor(registry, request, signal);
  return credentials === null ? null : encode({ ...credentials, serveraddress: addressOf(registry) });
}

/**
 * The `X-Registry-Config` header of a build by the classic builder, which cannot ask for what it needs: all of the run's own
 * logins, since what a Dockerfile starts from may be put together by arguments, and those that `docker login` left for the
 * registries that it names. The engine sends each to its own registry alone. Most builds need none, so what cannot be used
 * is only told.
 */
export async function buildHeader(
  { dockerfile, logins }: Wanted & { readonly dockerfile: string },
  onLog: (chunk: Uint8Array) => void,
  signal: AbortSignal,
): Promise<string> {
  const found: Record<string, RegistryCredentials> = {};
  for (const registry of registriesIn(dockerfile)) {
    try {
      const credentials = await registryCredentials(registry, process.env);
      if (credentials !== null) found[addressOf(registry)] = credentials;
    } catch (error) {
      onLog(Buffer.from(`The build goes on without credentials for ${registry}: ${(error as Error).message}\n`));
    }
  }
  for (const login of (await logins?.(signal)) ?? []) found[addressOf(login.host)] = ownCredentials(login);
  return encode(found);
}

function ownCredentials({ username, password }: RegistryLogin): RegistryCredentials {
  return { username, password };
}

/** What follows FROM and `--from=`; a name of a stage among it looks like an image of Docker Hub, and does no harm. */
function registriesIn(dockerfile: string): string[] {
  const images = [...dockerfile.matchAll(/^\s*FROM\s+(?:--\S+\s+)*(\S+)|--from=(\S+)/gim)];
  return [...new Set(images.map(([, base, copied]) => registryOf((base ?? copied)!)))];
}

function addressOf(registry: string): string {
  return registry === "docker.io" ? DOCKER_HUB : registry;
}

/** With padding: an engine takes a header without it for no login at all, and says nothing. */
function encode(value: object): string {
  return Buffer.from(JSON.stringify(value)).toString("base64").replaceAll("+", "-").replaceAll("/", "_");
}
