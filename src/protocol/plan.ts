import { z } from "zod";
import { parseDestination } from "./egress.ts";
import { Digest, Name, Scalar } from "./names.ts";
import { MediaType, TagKey } from "./output-notes.ts";
import { RetentionRule } from "./retention.ts";
import { SecretName } from "./secrets.ts";

/**
 * A plan is what a pipeline file compiles to: every default filled in, every reference resolved, nothing left to
 * guess. The server stores it per pipeline version and hands it to the agent with the run's parameters.
 */

export const ParamSpec = z.object({
  type: z.enum(["string", "integer", "number", "boolean"]),
  default: Scalar.nullable(),
  required: z.boolean(),
  description: z.string().nullable(),
  choices: z.array(Scalar).nullable(),
});
export type ParamSpec = z.infer<typeof ParamSpec>;

/** When a registry is asked for an image: if it is not there, at the first use by each run, or never. */
export const PullPolicy = z.enum(["missing", "always", "never"]);
export type PullPolicy = z.infer<typeof PullPolicy>;

/** Left out for `missing`. */
const pull = PullPolicy.optional();

/** `host` or `host:port` → the secret that proves who asks: the password of `user`, or a token where there is none. */
export const IndexCredentials = z.record(z.string(), z.object({ user: z.string().optional(), secret: SecretName }));
export type IndexCredentials = z.infer<typeof IndexCredentials>;

/** Where an image comes from. Paths are relative to the source folder. */
export const Environment = z.discriminatedUnion("kind", [
  /** A Dockerfile is generated from the recipe. */
  z.object({
    kind: z.literal("recipe"),
    base: z.string(),
    apt: z.array(z.string()),
    python: z
      .object({
        requirements: z.string().nullable(),
        packages: z.array(z.string()),
        /** uv.lock; left out for none. */
        lockfile: z.string().optional(),
        /** Addresses of indexes, the first in place of the installer's own; left out for that. */
        indexes: z.array(z.string()).optional(),
      })
      .nullable(),
    node: z
      .object({
        lockfile: z.string().nullable(),
        packages: z.array(z.string()),
        /** `pnpm@10.34.8`; left out for that of the lock file. */
        manager: z.string().optional(),
        /** Address of the registry; left out for the manager's own. */
        registry: z.string().optional(),
        /** Those of single scopes, by `@scope`; left out for none. */
        scopes: z.record(z.string(), z.string()).optional(),
      })
      .nullable(),
    /** Left out for none. */
    conda: z.object({ file: z.string() }).optional(),
    /** Who one is to package indexes, by host; left out for nobody. */
    credentials: IndexCredentials.optional(),
    /** Folder inside the source that is copied to `/app`, the working directory; null copies nothing. */
    source: z.string().nullable(),
    pull,
    env: z.record(z.string(), z.string()),
  }),
  /** A ready image; the source, where asked for, is mounted read-only at `/app`. */
  z.object({
    kind: z.literal("image"),
    image: z.string(),
    source: z.string().nullable(),
    pull,
    env: z.record(z.string(), z.string()),
  }),
  /** The user's own Dockerfile, built with `context` (a folder of the source) as its context. */
  z.object({
    kind: z.literal("dockerfile"),
    dockerfile: z.string(),
    context: z.string(),
    args: z.record(z.string(), z.string()),
    /** Those of the project that a `RUN` may mount, and the id by which it does; left out for none. */
    secrets: z.array(z.object({ name: SecretName, id: z.string() })).optional(),
    /** The stage that is the image; left out for the last. */
    target: z.string().optional(),
    pull,
    env: z.record(z.string(), z.string()),
  }),
]);
export type Environment = z.infer<typeof Environment>;

/** What a function gets beside its inputs, parameters and matrix values; texts may be templates. */
export const FunctionArgs = z.record(Name, z.union([Scalar, z.array(Scalar)]));
export type FunctionArgs = z.infer<typeof FunctionArgs>;

const CalledFunction = z.object({ module: z.string(), function: z.string(), args: FunctionArgs.optional() });

/** What a step does. `${{ … }}` in strings is still a template: see pipeline/template.ts. */
export const Action = z.discriminatedUnion("kind", [
  /** Run by `sh -e`; templates become references to environment variables, values are never spliced in. */
  z.object({ kind: z.literal("shell"), script: z.string() }),
  z.object({ kind: z.literal("command"), argv: z.array(z.string()).min(1) }),
  /** Inputs arrive as arguments by name; what the function returns becomes the outputs. */
  CalledFunction.extend({ kind: z.literal("python") }),
  /** The same in Node: `module` is a file below the working folder, or a package. */
  CalledFunction.extend({ kind: z.literal("typescript") }),
]);
export type Action = z.infer<typeof Action>;

/** Types that the step SDKs know by themselves; `file` and `folder` pass paths. */
const KnownType = z.enum([
  ...(["file", "folder", "json", "text", "lines", "bytes", "csv"] as const),
  ...(["parquet", "npy", "npz", "pickle"] as const),
]);
/** Types that a step's code registers with its SDK. To Berth they are a file or a folder, as it comes. */
const CustomType = z.templateLiteral(["x-", z.string().regex(/^[a-z0-9][a-z0-9._-]{0,59}$/)], {
  error: "a type of your own is called x-name, in small letters, digits, '.', '_' and '-'",
});
/** How an artifact is read and written by a step SDK. */
export const ArtifactType = z.union([KnownType, CustomType]);
export type ArtifactType = z.infer<typeof ArtifactType>;

/**
 * How the outputs of a batch or matrix step reach a consumer, always in item order: a folder with one entry per item,
 * lines joined, CSV joined with one header, or a JSON array. `single` is the output of a plain step.
 */
export const Gather = z.enum(["single", "folder", "lines", "csv", "json"]);
export type Gather = z.infer<typeof Gather>;

export const InputPlan = z.object({ step: Name, artifact: Name, gather: Gather, type: ArtifactType });
export type InputPlan = z.infer<typeof InputPlan>;

export const OutputPlan = z.object({
  /** Relative to `/berth/out`. */
  path: z.string(),
  type: ArtifactType,
  optional: z.boolean(),
  /** `success` (default) collects after exit 0; `always` also after a failure. */
  when: z.enum(["success", "always"]),
  /** What it is served as; left out to go by the extension of its path. */
  contentType: MediaType.optional(),
  /** Of each version that it makes; a step may add to them. */
  tags: z.record(TagKey, z.string()).optional(),
  /** Left out: what the pipeline, or else the project says. */
  retention: RetentionRule.optional(),
});
export type OutputPlan = z.infer<typeof OutputPlan>;

export const BatchPlan = z.object({
  step: Name,
  artifact: Name,
  gather: Gather,
  /** `auto` decides by the artifact: a folder by files, `.csv` by rows, `.json` by array items, else by lines. */
  format: z.enum(["auto", "lines", "csv", "json", "files"]),
  /** Units (lines, rows, array items, files) per item; the last item may hold fewer. */
  size: z.int().min(1).max(1_000_000),
  /** Items of this step that may run at once. */
  parallel: z.int().min(1).max(1000),
});
export type BatchPlan = z.infer<typeof BatchPlan>;

export const Resources = z.object({
  /** Cores; 0.5 is half of one. */
  cpu: z.number().positive().nullable(),
  memoryBytes: z.int().positive().nullable(),
  /** Whole GPUs, for this step alone; left out for none. Disk: what it may write, and what its worker must have free. */
  gpus: z.int().positive().optional(),
  diskBytes: z.int().positive().optional(),
  /** Of what it reads from each disk, and writes to it; left out for no limit. */
  io: z
    .object({
      readBytesPerSecond: z.int().positive().nullable(),
      writeBytesPerSecond: z.int().positive().nullable(),
    })
    .optional(),
  /** How long one attempt may run. */
  timeoutMs: z.int().positive().nullable(),
  /** How long a step run that could start may wait for room on its worker, and for its image. */
  queueTimeoutMs: z.int().positive().nullable().default(null),
  imageTimeoutMs: z.int().positive().nullable().default(null),
});
export type Resources = z.infer<typeof Resources>;

/** When and how often a step run is tried again. */
export const RetryPolicy = z.object({
  /** Attempts that may follow the first one because of what the step did. */
  max: z.int().min(0).max(100),
  /** Before the first of them; `backoff` says how it grows, up to `maxDelayMs`. */
  delayMs: z.int().nonnegative(),
  /** `exponential` doubles, and waits a random part of that (full jitter); `linear` adds; `fixed` does not grow. */
  backoff: z.enum(["exponential", "linear", "fixed"]),
  maxDelayMs: z.int().nonnegative(),
  /** Fault classes and codes that are tried again; of others the first attempt is final. */
  on: z.array(z.string()),
  /** After an `oom` the limit doubles up to this; null: four times the step's own. */
  maxMemoryBytes: z.int().positive().nullable(),
  /** Attempts that may follow faults of the platform: a budget of its own, whatever `on` says. */
  infrastructureMax: z.int().min(0).max(100),
});
export type RetryPolicy = z.infer<typeof RetryPolicy>;

export const DEFAULT_RETRY: RetryPolicy = {
  max: 3,
  delayMs: 1_000,
  backoff: "exponential",
  maxDelayMs: 60_000,
  on: ["application", "oom", "timeout"],
  maxMemoryBytes: null,
  infrastructureMax: 5,
};

/** When a step runs: with the others, after they failed, or after them in any case. */
export const Phase = z.enum(["main", "on_failure", "finally"]);
export type Phase = z.infer<typeof Phase>;

/** A condition in CEL; see pipeline/condition.ts. */
export const Condition = z.object({
  expression: z.string(),
  /** Steps whose state it looks at: however they ended, the step is decided when they have. */
  steps: z.array(Name),
  /** Outputs that it looks at. */
  reads: z.array(z.object({ step: Name, artifact: Name })),
});
export type Condition = z.infer<typeof Condition>;

/** A secret that a step needs: a file of that name, or where it names a variable, the value of that and no file. */
export const StepSecret = z.object({ name: SecretName, variable: z.string().nullable() });
export type StepSecret = z.infer<typeof StepSecret>;

/** How a step is kept apart from its worker, where it asks for other than the defaults. */
export const Isolation = z.object({
  /** Whether it may write to its attempt folder and `/tmp` only. */
  readOnlyRoot: z.literal(true).optional(),
  /** Names of profiles and runtimes that its worker was set up with. */
  apparmor: z.string().optional(),
  selinux: z.string().optional(),
  runtime: z.string().optional(),
  /** Names of folders that the worker's policy offers. */
  mounts: z.array(Name).optional(),
});
export type Isolation = z.infer<typeof Isolation>;

export const StepPlan = z.object({
  name: Name,
  /** Key into `environments`. */
  environment: Name,
  /** Every step that must have succeeded first: `needs`, inputs, batch, and file order in serial mode. */
  needs: z.array(Name),
  /** One entry per combination, in the order of the file; null for a step without a matrix. */
  matrix: z.array(z.record(Name, Scalar)).nullable(),
  batch: BatchPlan.nullable(),
  action: Action,
  env: z.record(z.string(), z.string()),
  /** Left out for none. */
  secrets: z.array(StepSecret).optional(),
  inputs: z.record(Name, InputPlan),
  outputs: z.record(Name, OutputPlan),
  resources: Resources,
  retry: RetryPolicy.default(DEFAULT_RETRY),
  /** Null: it always runs. `key` is one more component of the key, `ttlMs` how long a result may be taken. */
  cache: z.object({ key: z.string().nullable(), ttlMs: z.int().positive().nullable() }).nullable().default(null),
  phase: Phase.default("main"),
  /** Null: it runs if everything that it needs succeeded. */
  when: Condition.nullable().default(null),
  /** Whether the run may succeed although this step fails. */
  allowFailure: z.boolean().default(false),
  /**
   * What the failure of one of its step runs does to the others. true: they are stopped; false: they go on; null: items
   * of a batch that have not started are skipped, everything else goes on.
   */
  failFast: z.boolean().nullable().default(null),
  /** That of the run, none, or one that reaches only these destinations: see egress.ts. */
  network: z.union([
    z.enum(["run", "none"]),
    z.object({ allow: z.array(z.string().refine((text) => parseDestination(text) !== null)).min(1) }),
  ]),
  /** Left out for the defaults. */
  isolation: Isolation.optional(),
});
export type StepPlan = z.infer<typeof StepPlan>;

/** Of two runs that a worker could take, it takes the one with the higher priority. */
export const PRIORITY_MIN = -100;
export const PRIORITY_MAX = 100;
export const Priority = z.int().min(PRIORITY_MIN).max(PRIORITY_MAX);

export const GROUP_LIMIT_MAX = 1_000;
/** Of a group's name, with its parameters put in. */
export const GROUP_MAX_CHARS = 200;

/** Runs of which only so many may be at work at once, across all pipelines of the project. */
export const Concurrency = z.object({
  /** What they have in common. In a plan `${{ params.… }}` in it is still a template. */
  group: z.string(),
  /** Places of the group. A run holds one from when it gets it until it ends, also while it waits for a worker. */
  limit: z.int().min(1).max(GROUP_LIMIT_MAX),
  /**
   * What happens when a run comes and all places are taken. `queue`: it is held back until one is free; `cancel_older`:
   * those before it are cancelled, so that it gets one; `refuse`: the run is not made.
   */
  policy: z.enum(["queue", "cancel_older", "refuse"]),
});
export type Concurrency = z.infer<typeof Concurrency>;

export const Plan = z.object({
  schema: z.literal(1),
  priority: Priority.default(0),
  concurrency: Concurrency.nullable().default(null),
  name: Name,
  description: z.string().nullable(),
  params: z.record(Name, ParamSpec),
  mode: z.enum(["parallel", "serial"]),
  /** How long a run may take from when a worker took it first, and how long it may wait for that. */
  timeoutMs: z.int().positive().nullable().default(null),
  queueTimeoutMs: z.int().positive().nullable().default(null),
  /** Whether the failure of a step ends all others. */
  failFast: z.boolean().default(false),
  /** Of its artifacts; left out: what the project says. */
  retention: RetentionRule.optional(),
  env: z.record(z.string(), z.string()),
  environments: z.record(Name, Environment),
  worker: z.object({ pool: Name, labels: z.array(z.string()), backend: Name.nullable() }),
  /** In file order, which is also a topological order of `needs` wherever the file allows it. */
  steps: z.array(StepPlan).min(1).max(5_000),
});
export type Plan = z.infer<typeof Plan>;

/** The values of a run's parameters, defaults filled in and types checked. */
export const Params = z.record(Name, Scalar);
export type Params = z.infer<typeof Params>;

/** The folder that was submitted with a run: a tar (zstd) stored as a blob. */
export const SourceRef = z.object({ digest: Digest, size: z.int().nonnegative() });
export type SourceRef = z.infer<typeof SourceRef>;
