import { randomUUID } from "node:crypto";
import type { BuildSecrets, BuiltImage } from "../../image-request.ts";
import type { Engine } from "../engine.ts";
import { credentialsFor } from "../registry-headers.ts";
import { GRPC_NOT_FOUND, GrpcError, type GrpcHandler, serveGrpc, unary } from "./grpc-server.ts";
import { fieldsOf, messageOf } from "./protobuf.ts";
import { sendFiles } from "./send-files.ts";
import { filesOf, textFile } from "./sent-files.ts";

export type BuildSessionOptions = Pick<BuiltImage, "context" | "dockerfile" | "secrets" | "logins">;

export interface BuildSession extends Disposable {
  /** By which a build names it. */
  readonly id: string;
  /** What went wrong on this side, which the builder only knows in words; null: nothing. */
  failure(): Error | null;
}

/** The name under which a builder asks for the Dockerfile, in a folder of its own: nothing of it lies in the context. */
export const SENT_DOCKERFILE = "Dockerfile";

const HEALTH = "/grpc.health.v1.Health/Check";
const SERVING = messageOf({ 1: 1 });
/** Docker Hub's address for pulls, and the name under which its credentials are looked up. */
const HUB_HOSTS: ReadonlySet<string> = new Set(["registry-1.docker.io", "index.docker.io"]);

/**
 * A connection over which BuildKit asks whoever started a build for what it needs, when it needs it: the files of the
 * context, the values of secrets for a RUN that mounts them, credentials for a registry that wants some.
 */
export async function openBuildSession(
  engine: Engine,
  options: BuildSessionOptions,
  signal: AbortSignal,
): Promise<BuildSession> {
  let failure: Error | null = null;
  const noting =
    (handler: GrpcHandler): GrpcHandler =>
    async (call) => {
      try {
        await handler(call);
      } catch (error) {
        if (!(error instanceof GrpcError)) failure ??= error as Error;
        throw error;
      }
    };
  const methods = new Map<string, GrpcHandler>([
    ["/moby.filesync.v1.FileSync/DiffCopy", noting(sendContext(options))],
    ["/moby.filesync.v1.Auth/Credentials", noting(unary((request) => giveCredentials(request, options, signal)))],
    ["/moby.buildkit.secrets.v1.Secrets/GetSecret", noting(unary((request) => giveSecret(request, options.secrets)))],
  ]);
  const id = randomUUID().replaceAll("-", "");
  const connection = await engine.openSession(id, [...methods.keys()]);
  // The builder looks every few seconds whether this side is there still.
  const server = serveGrpc(
    connection,
    methods.set(
      HEALTH,
      unary(() => SERVING),
    ),
  );
  return { id, failure: () => failure, [Symbol.dispose]: () => server[Symbol.dispose]() };
}

/** Which files is for us to say: the context was made of what a build needs, so patterns of the builder change nothing. */
function sendContext({ context, dockerfile }: BuildSessionOptions): GrpcHandler {
  return (call) => {
    const folder = call.metadata["dir-name"];
    if (folder === "context") return sendFiles(call, filesOf(context));
    if (folder === "dockerfile") return sendFiles(call, oneFile(dockerfile));
    throw new GrpcError(GRPC_NOT_FOUND, `there is no folder ${String(folder)}`);
  };
}

async function* oneFile(dockerfile: string) {
  yield textFile(SENT_DOCKERFILE, dockerfile);
}

async function giveSecret(request: Buffer, secrets: BuildSecrets | undefined): Promise<Uint8Array> {
  const id = textOf(request, 1);
  if (secrets === undefined || !secrets.ids.includes(id)) {
    throw new GrpcError(GRPC_NOT_FOUND, `the environment names no secret ${id}`);
  }
  return messageOf({ 1: await secrets.read(id) });
}

/** Empty where there are none: the registry then decides whether it gives without. */
async function giveCredentials(
  request: Buffer,
  options: BuildSessionOptions,
  signal: AbortSignal,
): Promise<Uint8Array> {
  const host = textOf(request, 1);
  const credentials = await credentialsFor(HUB_HOSTS.has(host) ? "docker.io" : host, options, signal);
  if (credentials === null) return messageOf({});
  const { username, password, identitytoken } = credentials;
  return identitytoken === undefined ? messageOf({ 1: username, 2: password }) : messageOf({ 2: identitytoken });
}

function textOf(request: Buffer, wanted: number): string {
  for (const { field, value } of fieldsOf(request)) if (field === wanted) return value.toString();
  return "";
}
