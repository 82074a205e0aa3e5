import os from "node:os";
import { z } from "zod";
import { BerthError } from "../protocol/errors.ts";
import type { DiskWatchOptions } from "../runtime/disk-watch.ts";
import { SECRETS_PLACE } from "../runtime/secret-folder.ts";

const GiB = 1024 ** 3;

/** Settings of an agent, all optional: what the composition root read from `<agentHome>/config.json`. */
const Settings = z.strictObject({
  /** Runs held at once; default: one per core, at least 2. */
  slots: z.int().min(1).max(1000).optional(),
  /**
   * Attempts running at once, over all runs; default: two per core. More containers starting at once than that are
   * slower, not faster.
   */
  stepsAtOnce: z.int().min(1).max(10_000).optional(),
  /** Cores and memory for steps, in all; default: those of the machine. */
  cpus: z.number().positive().max(4096).optional(),
  memoryBytes: z.int().positive().optional(),
  /** Ids of the GPUs that steps are given; default: those that NVIDIA's driver names. */
  gpus: z
    .array(z.string().regex(/^[A-Za-z0-9][A-Za-z0-9_.:=/-]*$/))
    .max(64)
    .refine((ids) => new Set(ids).size === ids.length, "names a GPU twice")
    .optional(),
  /** Outputs uploaded at once, over all runs; default 4: more only share the same line. */
  uploadsAtOnce: z.int().min(1).max(64).optional(),
  /**
   * Parts of large blobs moved at once between this worker and an object store, over all transfers; default 4. Each
   * takes a connection and about a megabyte of memory.
   */
  partsAtOnce: z.int().min(1).max(64).optional(),
  /** From TERM to KILL, in milliseconds; default 10,000. */
  graceMs: z.int().min(0).max(3_600_000).optional(),
  /** Free bytes below which no runs are taken; default: 2 GiB or a tenth of the disk, whichever is more. */
  diskFreeMinBytes: z.int().nonnegative().optional(),
  /** Bytes of the blob cache; default 20 GiB. */
  cacheBytesMax: z.int().positive().optional(),
  /** Bytes of the images that were pulled or built for runs; default 50 GiB. */
  imageBytesMax: z.int().positive().optional(),
  /** Images that are never removed, whatever the budget: patterns as of the policy's `images.allow`. */
  imagesKept: z.array(z.string().min(1)).max(500).optional(),
  /** Bytes and entries of one output; default 50 GiB and 1,000,000. */
  outputBytesMax: z.int().positive().optional(),
  outputEntriesMax: z.int().positive().optional(),
  /** Folder in memory for the secrets of steps; default: /dev/shm. */
  secretsFolder: z.string().startsWith("/", "must be an absolute path").optional(),
  /** What an attempt may write to the disk that names no limit, in bytes, and files and folders of any; default 50 GiB and 1,000,000. */
  stepDiskBytesMax: z.int().positive().optional(),
  stepEntriesMax: z.int().positive().optional(),
  /** Settings by backend; each backend checks its own. */
  backends: z.record(z.string(), z.record(z.string(), z.unknown())).optional(),
});

export interface AgentConfig {
  readonly slots: number;
  readonly stepsAtOnce: number;
  readonly cpus: number;
  readonly memoryBytes: number;
  /** Null: as the driver says. */
  readonly gpus: readonly string[] | null;
  readonly uploadsAtOnce: number;
  readonly partsAtOnce: number;
  readonly graceMs: number;
  /** Null: by the size of the disk, see diskFreeMin. */
  readonly diskFreeMinBytes: number | null;
  readonly cacheBytesMax: number;
  readonly imageBytesMax: number;
  readonly imagesKept: readonly string[];
  readonly outputBytesMax: number;
  readonly outputEntriesMax: number;
  readonly secretsFolder: string;
  readonly stepDiskBytesMax: number;
  readonly stepEntriesMax: number;
  readonly backends: Readonly<Record<string, Readonly<Record<string, unknown>>>>;
}

/** Checks settings and fills in the defaults; throws with every mistake named. */
export function agentConfig(settings: unknown): AgentConfig {
  const parsed = Settings.safeParse(settings ?? {});
  if (!parsed.success) {
    const problems = parsed.error.issues.map(({ path, message }) => ({ path: path.join("."), message }));
    throw new BerthError("invalid_request", "the agent's settings are not valid", { problems });
  }
  const given = parsed.data;
  const cores = Math.ceil(given.cpus ?? os.availableParallelism());
  return {
    slots: given.slots ?? Math.max(2, cores),
    stepsAtOnce: given.stepsAtOnce ?? 2 * cores,
    cpus: given.cpus ?? cores,
    memoryBytes: given.memoryBytes ?? os.totalmem(),
    gpus: given.gpus ?? null,
    uploadsAtOnce: given.uploadsAtOnce ?? 4,
    partsAtOnce: given.partsAtOnce ?? 4,
    graceMs: given.graceMs ?? 10_000,
    diskFreeMinBytes: given.diskFreeMinBytes ?? null,
    cacheBytesMax: given.cacheBytesMax ?? 20 * GiB,
    imageBytesMax: given.imageBytesMax ?? 50 * GiB,
    imagesKept: given.imagesKept ?? [],
    outputBytesMax: given.outputBytesMax ?? 50 * GiB,
    outputEntriesMax: given.outputEntriesMax ?? 1_000_000,
    secretsFolder: given.secretsFolder ?? SECRETS_PLACE,
    stepDiskBytesMax: given.stepDiskBytesMax ?? 50 * GiB,
    stepEntriesMax: given.stepEntriesMax ?? 1_000_000,
    backends: given.backends ?? {},
  };
}

/** Free bytes below which this worker takes no runs. */
export function diskFreeMin(config: AgentConfig, totalBytes: number): number {
  return config.diskFreeMinBytes ?? Math.max(2 * GiB, totalBytes / 10);
}

/** What steps may write. A step that runs is stopped only when half of what is kept free of new runs is gone as well. */
export function stepDisk(config: AgentConfig): Pick<DiskWatchOptions, "limits" | "keepFreeBytes"> {
  return {
    limits: { bytes: config.stepDiskBytesMax, entries: config.stepEntriesMax },
    keepFreeBytes: (totalBytes) => diskFreeMin(config, totalBytes) / 2,
  };
}
