import { z } from "zod";
import { Scalar } from "../protocol/names.ts";
import {
  MEDIA_TYPE_PATTERN,
  MEDIA_TYPE_RULE,
  TAG_KEY_PATTERN,
  TAG_KEY_RULE,
  TAG_VALUE_MAX_CHARS,
  TAGS_MAX,
} from "../protocol/output-notes.ts";
import { ArtifactType, GROUP_LIMIT_MAX, GROUP_MAX_CHARS, Priority } from "../protocol/plan.ts";
import {
  DURATION_MAX,
  DURATION_PATTERN,
  durationProblem,
  MEMORY_PATTERN,
  parseDuration,
  parseMemory,
} from "./quantity.ts";
import { EnvironmentSpec } from "./schema-environment.ts";
import { IsolationSpec } from "./schema-isolation.ts";
import { mapping, NameText, Plain, record, relativePath, text, Variables } from "./schema-parts.ts";
import { RetentionSpec } from "./schema-retention.ts";
import { SchedulesSpec } from "./schema-schedules.ts";
import { SecretsSpec } from "./schema-secrets.ts";

/**
 * The pipeline file, as people write it: what it may hold is said here and nowhere else. Positions and suggestions
 * (shape-problems.ts) and the JSON Schema for editors (scripts/write-schema.ts) come from it. What goes beyond shape,
 * such as references and cycles, is checked where the file is compiled: see compile.ts.
 */

/** Of one pipeline. */
export const STEPS_MAX = 5_000;
/** A batch that names no limit takes whatever room the worker has. */
export const BATCH_PARALLEL_MAX = 1_000;
const BATCH_SIZE_MAX = 1_000_000;
/** The kernel hands a program at most 128 KiB in one argument, and the script is one. */
const SCRIPT_MAX_CHARS = 100 * 1024;
/** As many as a worker can have. */
const GPUS_MAX = 64;
const CONDITION_MAX_CHARS = 2_000;
const DESCRIPTION_MAX_CHARS = 2_000;

export const ParamSpec = mapping({
  type: z.enum(["string", "integer", "number", "boolean"]).optional().describe("Inferred from default if left out."),
  default: Scalar.optional().describe("Value of runs that give none."),
  required: z.boolean().optional().describe("Whether a run must give a value; by default, when there is no default."),
  description: text(DESCRIPTION_MAX_CHARS).optional().describe("What it does, for people."),
  choices: z.array(Scalar).min(1).max(1000).optional().describe("The only values allowed."),
});
export type ParamSpec = z.infer<typeof ParamSpec>;

const Reference = z
  .string()
  .regex(
    /^[A-Za-z][A-Za-z0-9_-]{0,62}\.[A-Za-z][A-Za-z0-9_-]{0,62}$/,
    'must name an output of a step, such as "prepare.train"',
  )
  .describe("An output of a step: step.output");

export const InputSpec = z.union([
  Reference,
  mapping({
    from: Reference,
    gather: z
      .enum(["folder", "lines", "csv", "json"])
      .optional()
      .describe("How the outputs of a batch or matrix step are joined, in item order. Default: folder."),
    type: ArtifactType.optional().describe("How a function gets it. Default: the type of the output."),
  }),
]);
export type InputSpec = z.infer<typeof InputSpec>;

const TagName = z.string().regex(TAG_KEY_PATTERN, `a tag ${TAG_KEY_RULE}`);
const TagText = z.union([
  z
    .string()
    .max(TAG_VALUE_MAX_CHARS)
    .regex(/^\P{Cc}*$/u, "a tag holds no control characters"),
  z.number(),
  z.boolean(),
]);
const OutputPath = relativePath("the step's output folder");
export const OutputSpec = z.union([
  OutputPath,
  mapping({
    path: OutputPath.optional().describe("Below /berth/out. Default: the name, with the ending of its type."),
    type: ArtifactType.optional().describe("Default: by the ending of the path."),
    optional: z.boolean().optional().describe("Whether the step may succeed without it."),
    when: z.enum(["success", "always"]).optional().describe("always: kept after a failure too."),
    retention: RetentionSpec.optional(),
    contentType: z
      .string()
      .regex(MEDIA_TYPE_PATTERN, MEDIA_TYPE_RULE)
      .optional()
      .describe("What it is served as. Default: by the ending of the path."),
    tags: record(TagName, TagText, TAGS_MAX).optional().describe("Tags of each version that the step makes."),
  }),
]);
export type OutputSpec = z.infer<typeof OutputSpec>;

export const BatchSpec = mapping({
  over: Reference,
  format: z
    .enum(["auto", "lines", "csv", "json", "files"])
    .optional()
    .describe("What is counted: lines, CSV rows, items of a JSON array, files of a folder. Default: by the output."),
  size: z.int().min(1).max(BATCH_SIZE_MAX).optional().describe("Units per item. Default: 1."),
  parallel: z
    .int()
    .min(1)
    .max(BATCH_PARALLEL_MAX)
    .optional()
    .describe("Items that run at once. Default: as many as the worker has room for."),
});
export type BatchSpec = z.infer<typeof BatchSpec>;

export const Memory = z
  .string()
  .regex(MEMORY_PATTERN, 'must be a size such as "512MiB" or "2GiB"')
  .refine((size) => !MEMORY_PATTERN.test(size) || isCount(parseMemory(size)), "must be at least 1 B and below 8 PiB");
export const Duration = z
  .string()
  .regex(DURATION_PATTERN, { error: ({ input }) => durationProblem(input, '"30s", "10m" or "2h"') })
  .refine(
    (time) => !DURATION_PATTERN.test(time) || isCount(parseDuration(time)),
    `must be at least 1 ms and at most ${DURATION_MAX}`,
  );

const ResourcesSpec = mapping({
  cpu: z.number().min(0.01).max(4096).optional().describe("Cores; 0.5 is half of one."),
  memory: Memory.optional().describe("Such as 512MiB or 2GiB."),
  gpu: z
    .int()
    .min(0)
    .max(GPUS_MAX)
    .optional()
    .describe("Whole GPUs, which no other step gets meanwhile. Default: none."),
  disk: Memory.optional().describe("What the step may write, and what must be free on its worker: 20GiB."),
  io: mapping({
    read: Memory.optional().describe("Bytes a second that it may read from a disk: 50MiB."),
    write: Memory.optional().describe("Bytes a second that it may write to a disk."),
  })
    .optional()
    .describe("How fast it may use disks, where its worker can hold it back."),
  timeout: Duration.optional().describe("How long one attempt may run: 30s, 10m, 2h."),
  queueTimeout: Duration.optional().describe("How long the step may wait for room on the worker once it could start."),
  imageTimeout: Duration.optional().describe("How long its image may take to be pulled or built."),
});

/** Unlike a limit, a pause may be none. */
const Pause = z.string().regex(DURATION_PATTERN, {
  error: ({ input }) => durationProblem(input, '"0s", "2s" or "5m"'),
});

export const RETRIES_MAX = 100;

export const RetrySpec = z
  .union([
    z.int().min(0).max(RETRIES_MAX),
    mapping({
      max: z.int().min(0).max(RETRIES_MAX).optional().describe("Attempts after the first. Default: 3."),
      delay: Pause.optional().describe("Pause before the first of them. Default: 1s."),
      backoff: z
        .enum(["exponential", "linear", "fixed"])
        .optional()
        .describe("How the pause grows. exponential (default): doubles, of which a random part is waited."),
      maxDelay: Pause.optional().describe("Longest pause. Default: 60s."),
      on: z
        .array(text(60))
        .min(1)
        .max(50)
        .optional()
        .describe("Fault classes and codes that are tried again. Default: application, oom, timeout."),
      maxMemory: Memory.optional().describe(
        "How far the memory limit is raised after the step ran out of it. Default: four times the limit.",
      ),
      infrastructure: z
        .int()
        .min(0)
        .max(RETRIES_MAX)
        .optional()
        .describe("Attempts after faults of the platform, which do not count for max. Default: 5."),
    }),
  ])
  .describe("How often, and for what, a step is tried again. A number is max.");
export type RetrySpec = z.infer<typeof RetrySpec>;

const GroupName = text(GROUP_MAX_CHARS);
const ConcurrencySpec = z
  .union([
    GroupName,
    mapping({
      group: GroupName.describe(
        "What the runs have in common; parameters may be put in, such as ${{ params.target }}.",
      ),
      limit: z.int().min(1).max(GROUP_LIMIT_MAX).optional().describe("Runs at work at once. Default: 1."),
      policy: z
        .enum(["queue", "cancel_older", "refuse"])
        .optional()
        .describe("What happens when a run comes and no place is free. Default: queue."),
    }),
  ])
  .describe("Runs of this group, of whatever pipeline, are at work one at a time, or as many as limit says.");

const EnvironmentChoice = z.union([NameText, EnvironmentSpec]);

/** A file by its path, or a package such as `@acme/steps/train.js`; never a path that leaves the working folder. */
const MODULE_FUNCTION =
  /^(\.\/)?@?[A-Za-z0-9_-][A-Za-z0-9._-]*(\/[A-Za-z0-9_-][A-Za-z0-9._-]*)*:[A-Za-z_$][A-Za-z0-9_$]*$/;

export const StepSpec = mapping({
  environment: EnvironmentChoice.optional().describe("Name of an environment, or an environment for this step alone."),
  needs: z.array(NameText).max(STEPS_MAX).optional().describe("Steps that must have succeeded before."),
  matrix: record(NameText, z.array(Scalar).min(1).max(1000), 10)
    .optional()
    .describe("Runs the step once for each combination of these values."),
  batch: BatchSpec.optional().describe("Splits an output of a step before, and runs this step once for each part."),
  when: z
    .union([text(CONDITION_MAX_CHARS), z.boolean()])
    .optional()
    .describe("Condition in CEL: the step runs if it is true, else it is skipped."),
  phase: z
    .enum(["main", "on_failure", "finally"])
    .optional()
    .describe("on_failure: after the other steps, if the run has failed. finally: last, in any case. Default: main."),
  allow_failure: z.boolean().optional().describe("true: the run may succeed although this step fails."),
  fail_fast: z
    .boolean()
    .optional()
    .describe("true: one failure stops the other combinations and items of the step. false: they all go on."),
  run: text(SCRIPT_MAX_CHARS).optional().describe("Shell script, run by sh -e."),
  command: z.array(Plain).min(1).max(1000).optional().describe("Program and arguments, without a shell."),
  python: z
    .string()
    .max(300)
    .regex(
      /^[A-Za-z_][A-Za-z0-9_]*(\.[A-Za-z_][A-Za-z0-9_]*)*:[A-Za-z_][A-Za-z0-9_]*$/,
      'must be "module:function", such as "wine.steps:train"',
    )
    .optional()
    .describe("Python function: inputs are its arguments, what it returns are the outputs."),
  typescript: z
    .string()
    .max(300)
    .regex(MODULE_FUNCTION, 'must be "module:function", such as "steps/train.ts:train"')
    .optional()
    .describe("TypeScript or JavaScript function: gets one object of inputs and parameters, returns the outputs."),
  args: record(NameText, z.union([Scalar, z.array(Scalar).max(1000)]), 200)
    .optional()
    .describe("More arguments of a function: values, and templates such as ${{ params.seed }}, which keep their type."),
  env: Variables.optional().describe("Environment variables of this step."),
  secrets: SecretsSpec.optional(),
  inputs: record(NameText, InputSpec, 200).optional().describe("Outputs of other steps, below /berth/in/<name>."),
  outputs: z
    .union([z.array(OutputPath).max(200), record(NameText, OutputSpec, 200)])
    .optional()
    .describe("Files and folders below /berth/out that are kept as artifacts."),
  resources: ResourcesSpec.optional().describe("What one attempt needs, and its limits."),
  retry: RetrySpec.optional(),
  cache: z
    .union([
      z.boolean(),
      mapping({
        key: text(500).optional().describe("One more thing that results have to agree in, such as a version: v2."),
        ttl: Duration.optional().describe("How old a result may be. Default: any age."),
      }),
    ])
    .optional()
    .describe("Whether a result that was made from the same before is taken instead of running the step."),
  isolation: IsolationSpec.optional(),
}).describe("One unit of work: exactly one of run, command, python and typescript.");
export type StepSpec = z.infer<typeof StepSpec>;

export const PipelineFile = mapping({
  name: NameText.describe("Name of the pipeline; its versions and runs count under it."),
  description: text(DESCRIPTION_MAX_CHARS).optional().describe("What the pipeline does, for people."),
  params: record(NameText, z.union([Scalar, ParamSpec]), 200)
    .optional()
    .describe("Parameters of a run. The short form is the default value."),
  mode: z
    .enum(["parallel", "serial"])
    .optional()
    .describe("parallel: each step as soon as what it needs succeeded. serial: one after another, in file order."),
  fail_fast: z.boolean().optional().describe("true: the first step that fails ends all others. Default: false."),
  priority: Priority.optional().describe("Runs of higher priority are taken first: -100 to 100. Default: 0."),
  concurrency: ConcurrencySpec.optional(),
  timeout: Duration.optional().describe("How long a run may take, from when a worker takes it."),
  queueTimeout: Duration.optional().describe("How long a run may wait for a worker."),
  env: Variables.optional().describe("Environment variables of every step."),
  environment: EnvironmentChoice.optional().describe("Environment of the steps that name none."),
  environments: record(NameText, EnvironmentSpec, 200).optional().describe("Environments by name."),
  retry: RetrySpec.optional(),
  isolation: IsolationSpec.optional(),
  retention: RetentionSpec.optional(),
  schedules: SchedulesSpec.optional().describe("When to run it, by name: see docs/schedules-and-triggers.md."),
  worker: mapping({
    pool: NameText.optional().describe("Pool whose workers may take the run. Default: default."),
    labels: z
      .array(text(100).regex(/^[A-Za-z0-9][A-Za-z0-9._=:/-]*$/, "is no label, such as linux or zone=eu"))
      .max(50)
      .optional()
      .describe("Labels that the worker must have, all of them."),
    backend: NameText.optional().describe("Backend to run on, such as docker or process. Default: the worker's own."),
  })
    .optional()
    .describe("Who may take the run."),
  steps: record(NameText, StepSpec, STEPS_MAX)
    .refine((steps) => Object.keys(steps).length > 0, "holds no step")
    .describe("The steps by name."),
}).meta({ title: "Berth pipeline", description: "A pipeline file of Berth. See docs/pipeline-file.md." });
export type PipelineFile = z.infer<typeof PipelineFile>;

function isCount(value: number): boolean {
  return Number.isSafeInteger(value) && value >= 1;
}
