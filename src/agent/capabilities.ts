import { execFile } from "node:child_process";
import { statfs } from "node:fs/promises";
import os from "node:os";
import { promisify } from "node:util";
import type { WorkerCapabilities } from "../protocol/agent-api.ts";
import type { AgentConfig } from "./config.ts";
import type { WorkerPolicy } from "./policy/worker-policy.ts";

/** A driver that does not answer within this is reported as absent. */
const PROBE_TIMEOUT_MS = 5_000;
/** A driver that has just been started may take its time, and what it does not name is taken for absent. */
const FIRST_PROBE_TIMEOUT_MS = 30_000;

export interface HostFigures {
  readonly config: Pick<AgentConfig, "slots" | "cpus" | "memoryBytes" | "gpus">;
  readonly diskFreeBytes: number;
  readonly diskNeededBytes?: number;
  readonly diskTotalBytes?: number;
  /** The GPUs that were found the time before: a driver that does not answer has not lost them. */
  readonly gpusBefore?: WorkerCapabilities["gpus"];
  readonly cache?: WorkerCapabilities["cache"];
  /** Null where there is no file. */
  readonly policy?: WorkerPolicy["described"];
  /** Healthy backends by name, with what each probe said. */
  readonly backends: WorkerCapabilities["backends"];
}

/** What this worker can do, asked of the live machine. */
export async function collectCapabilities({
  config,
  diskFreeBytes,
  diskNeededBytes,
  diskTotalBytes,
  gpusBefore = [],
  cache,
  policy = null,
  backends,
}: HostFigures): Promise<WorkerCapabilities> {
  return {
    os: os.platform(),
    arch: os.arch(),
    cpus: config.cpus,
    memoryBytes: config.memoryBytes,
    diskFreeBytes,
    ...(diskNeededBytes === undefined ? {} : { diskNeededBytes }),
    ...(diskTotalBytes === undefined ? {} : { diskTotalBytes }),
    gpus: config.gpus === null ? await nvidiaGpus(gpusBefore) : namedByHand(config.gpus),
    ...(cache === undefined ? {} : { cache }),
    ...(policy === null ? {} : { policy: { digest: policy.digest, summary: [...policy.summary] } }),
    backends,
    slots: config.slots,
  };
}

/** Free and total bytes of the file system that holds `folder`, for an unprivileged user. */
export async function diskSpace(folder: string): Promise<{ freeBytes: number; totalBytes: number }> {
  const { bavail, blocks, bsize } = await statfs(folder);
  return { freeBytes: bavail * bsize, totalBytes: blocks * bsize };
}

function namedByHand(ids: readonly string[]): WorkerCapabilities["gpus"] {
  return ids.map((id) => ({ id, model: "named in the agent's settings", memoryBytes: 0 }));
}

/** The GPUs that NVIDIA's driver names; those of before where its tool is absent or does not answer. */
async function nvidiaGpus(before: WorkerCapabilities["gpus"]): Promise<WorkerCapabilities["gpus"]> {
  const query = ["--query-gpu=uuid,name,memory.total", "--format=csv,noheader,nounits"];
  try {
    const { stdout } = await promisify(execFile)("nvidia-smi", query, {
      timeout: before.length === 0 ? FIRST_PROBE_TIMEOUT_MS : PROBE_TIMEOUT_MS,
    });
    return parseGpus(stdout);
  } catch {
    return before;
  }
}

/** `GPU-5b…, NVIDIA A100, 40960` per line; memory in MiB. */
export function parseGpus(text: string): WorkerCapabilities["gpus"] {
  return text
    .split("\n")
    .map((line) => line.split(",").map((part) => part.trim()))
    .filter(([id, model, mebibytes]) => id !== undefined && model !== undefined && Number(mebibytes) >= 0)
    .map(([id, model, mebibytes]) => ({ id: id!, model: model!, memoryBytes: Number(mebibytes) * 1024 * 1024 }));
}
