import { mkdirSync } from "node:fs";
import { z } from "zod";
import { fault } from "../../protocol/faults.ts";
import { BackendError, type BackendOptions, type BackendSession, type ExecutionBackend } from "../execution-backend.ts";
import { DockerSession } from "./docker-session.ts";
import { Engine } from "./engine.ts";
import { type EngineAddress, engineAddress } from "./engine-address.ts";

const Settings = z.strictObject({
  /** The engine's address, such as `unix:///run/user/1000/docker.sock`; by default as the docker command finds it. */
  host: z.string().min(1).optional(),
  /** How containers get GPUs; see container-config.ts. Default: devices. */
  gpus: z.enum(["devices", "variables"]).optional(),
  /** What builds images. Default: auto, which is BuildKit where the engine has it. */
  builder: z.enum(["auto", "buildkit", "classic"]).optional(),
});
type Settings = z.infer<typeof Settings>;

/** Steps as containers of a Docker Engine on the agent's own host. */
export const dockerBackend: ExecutionBackend = {
  name: "docker",

  /** Works while the engine is away: `probe` says so, and every call tries again. */
  async open({ installation, stateFolder, settings, capacity }: BackendOptions): Promise<BackendSession> {
    const { host, gpus: gpuAccess = "devices", builder } = readSettings(settings);
    const address = addressOf(host);
    mkdirSync(stateFolder, { recursive: true, mode: 0o700 });
    const engine = new Engine(address);
    const parts = { name: "docker", installation, stateFolder, engine, address: address.text, gpuAccess };
    return new DockerSession({ ...parts, capacity, builder: builder === "auto" ? undefined : builder });
  },
};

function readSettings(settings: BackendOptions["settings"]): Settings {
  const parsed = Settings.safeParse(settings);
  if (!parsed.success) throw badSettings(z.prettifyError(parsed.error), parsed.error);
  return parsed.data;
}

function addressOf(host: string | undefined): EngineAddress {
  try {
    return engineAddress(host, process.env);
  } catch (error) {
    throw badSettings((error as Error).message, error);
  }
}

function badSettings(why: string, cause: unknown): BackendError {
  const message = `The settings of the docker backend cannot be used: ${why}`;
  const advice = "Correct the docker settings in the agent's configuration, or DOCKER_HOST.";
  return new BackendError("spec-unsupported", fault("spec-unsupported", message, { advice }), { cause });
}
