import { join } from "node:path";
import { type AttemptSpec, SECRET_LAYOUT } from "../execution-backend.ts";

/** Where programs are found when the step says nothing else: the folders that every Linux has. */
const MINIMAL_PATH = "/usr/local/bin:/usr/bin:/bin";

/**
 * All that the step's process sees. Nothing of the agent's own environment is in it. What the step sets itself wins,
 * but for the paths of its folders, which are facts.
 */
export function stepEnvironment({ env, folder, secrets, gpus = [] }: AttemptSpec): Record<string, string> {
  return {
    PATH: MINIMAL_PATH,
    HOME: `${folder}/tmp`,
    TMPDIR: `${folder}/tmp`,
    ...env,
    ...(secrets === undefined ? {} : { BERTH_SECRETS: join(secrets.folder, SECRET_LAYOUT.files) }),
    // A process sees the whole machine: this is what programs that use GPUs go by. Empty is none.
    CUDA_VISIBLE_DEVICES: gpus.join(","),
    NVIDIA_VISIBLE_DEVICES: gpus.length === 0 ? "void" : gpus.join(","),
    BERTH_DIR: folder,
    BERTH_IN: `${folder}/in`,
    BERTH_OUT: `${folder}/out`,
  };
}
