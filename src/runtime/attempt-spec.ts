import { createHash } from "node:crypto";
import { posix } from "node:path";
import type { AttemptRef, AttemptSpec, Capabilities, SpecSecrets } from "../backends/execution-backend.ts";
import { renderText, type TemplateValues, templateVariables } from "../pipeline/template.ts";
import type { EndSoFar } from "../protocol/events.ts";
import type { Scalar } from "../protocol/names.ts";
import type { Params, Plan, StepPlan, StepSecret } from "../protocol/plan.ts";
import type { AttemptWork, StagedInput } from "./attempt-work.ts";
import { MESSAGES_FILE } from "./message-lines.ts";
import { type Reservation, reservationLabel } from "./reservation.ts";
import { stepArgv } from "./step-argv.ts";
import { mountsOf, workingFolderOf } from "./working-folder.ts";

/** Processes and threads of one step: plenty for a step, far too few for a fork bomb. */
const PIDS_MAX = 512;
/** From TERM to KILL: time to write a checkpoint, and short enough to wait for. */
const GRACE_MS = 10_000;
/** Where backends with fixed paths show the attempt folder. */
const BERTH_FOLDER = "/berth";

/** One step run of one run, and where it is to run: all that an attempt's work is made of. */
export interface WorkOrder {
  readonly plan: Plan;
  readonly step: StepPlan;
  readonly stepRun: {
    readonly key: string;
    readonly matrix: Readonly<Record<string, Scalar>> | null;
    /** Place in the batch, counted from 0; null outside of one. */
    readonly item: { readonly index: number; readonly count: number } | null;
    readonly attempt: number;
  };
  /** What this attempt may use, which is more than the plan says after it ran out; null is no limit. */
  readonly memoryBytes: number | null;
  readonly run: {
    readonly id: string;
    readonly number: number;
    readonly scope: string;
    /** How it ended, for steps that run after that. */
    readonly end: EndSoFar | null;
  };
  readonly params: Params;
  /** What `prepareImage` returned; null where the backend has no images. */
  readonly image: string | null;
  readonly imageDigest: string | null;
  readonly inputs: readonly StagedInput[];
  /** Host path of the attempt folder. */
  readonly folder: string;
  /** Host path, in memory, of the folder for its secrets, which is made only where it has any. */
  readonly secretsFolder: string;
  /** Host path of the unpacked source; null when the run has none. */
  readonly source: string | null;
  /** Host path of the folder with the step SDKs. */
  readonly sdk: string;
  readonly capabilities: Capabilities;
  /** What the worker keeps for it; nothing is kept where a person runs a step by hand. */
  readonly reserved?: Reservation;
}

/**
 * What a backend is to run for one attempt. It depends on names and never on the contents of inputs, so that the same
 * attempt has the same spec before its inputs are known: that is what makes creating it ahead possible.
 */
export function buildAttemptWork(order: WorkOrder): AttemptWork {
  const { step, stepRun, run } = order;
  const ref: AttemptRef = { run: run.id, stepRun: stepRun.key, attempt: stepRun.attempt, scope: run.scope };
  return {
    ref,
    spec: attemptSpec(order),
    inputs: order.inputs,
    outputs: step.outputs,
    ...(step.secrets === undefined ? {} : { secrets: step.secrets }),
    timeoutMs: step.resources.timeoutMs,
    ...(step.resources.diskBytes === undefined ? {} : { diskBytes: step.resources.diskBytes }),
    graceMs: GRACE_MS,
    imageDigest: order.imageDigest,
    runEnd: run.end,
  };
}

function attemptSpec(order: WorkOrder): AttemptSpec {
  const { plan, step, run, image, folder, memoryBytes, reserved } = order;
  const values = templateValues(order);
  const { argv, env } = stepArgv(order, values);
  return {
    image,
    argv,
    env: { ...userVariables(order, values), ...env, ...templateVariables(values), ...berthVariables(order) },
    workingFolder: workingFolderOf(order),
    folder,
    mounts: mountsOf(order),
    ...(step.secrets === undefined ? {} : { secrets: secretsOf(step.secrets, order.secretsFolder) }),
    network: step.network,
    ...isolationOf(step),
    limits: {
      ...{ cpus: step.resources.cpu, memoryBytes, pids: PIDS_MAX },
      ...(step.resources.io === undefined ? {} : { io: step.resources.io }),
    },
    ...(reserved === undefined || reserved.gpus.length === 0 ? {} : { gpus: reserved.gpus }),
    labels: {
      ...{ "berth.pipeline": plan.name, "berth.step": step.name, "berth.title": `${plan.name}#${run.number}` },
      ...(reserved === undefined ? {} : reservationLabel(reserved)),
    },
  };
}

function secretsOf(secrets: readonly StepSecret[], folder: string): SpecSecrets {
  return { folder, variables: secrets.some(({ variable }) => variable !== null) };
}

/** What its worker has to resolve, which are mounts, is added by whoever knows the worker. */
function isolationOf({ isolation = {} }: StepPlan): Pick<AttemptSpec, "isolation"> {
  const { mounts: _, ...rest } = isolation;
  return Object.keys(rest).length === 0 ? {} : { isolation: rest };
}

/** The attempt folder, as the step sees it. */
function shownFolder({ folder, capabilities }: WorkOrder): string {
  return capabilities.fixedPaths ? BERTH_FOLDER : folder;
}

function templateValues(order: WorkOrder): TemplateValues {
  const { step, stepRun, run, params } = order;
  const base = shownFolder(order);
  const inputs = [...Object.keys(step.inputs), ...(step.batch === null ? [] : ["batch"])];
  return {
    params,
    matrix: stepRun.matrix,
    inputs: Object.fromEntries(inputs.map((name) => [name, `${base}/in/${name}`])),
    outputs: Object.fromEntries(
      Object.entries(step.outputs).map(([name, { path }]) => [name, posix.join(base, "out", path).replace(/\/+$/, "")]),
    ),
    run: { id: run.id, number: run.number },
    batch: stepRun.item,
  };
}

/** The more specific wins: the step's over the environment's over the pipeline's, and all over the image's. */
function userVariables({ plan, step }: WorkOrder, values: TemplateValues): Record<string, string> {
  const rendered = (env: Readonly<Record<string, string>>) =>
    Object.fromEntries(Object.entries(env).map(([name, text]) => [name, renderText(text, values)]));
  return { ...rendered(plan.env), ...plan.environments[step.environment]!.env, ...rendered(step.env) };
}

function berthVariables(order: WorkOrder): Record<string, string> {
  const { plan, step, stepRun, run, params, reserved } = order;
  return {
    BERTH_MESSAGES: `${shownFolder(order)}/${MESSAGES_FILE}`,
    BERTH_PIPELINE: plan.name,
    BERTH_STEP: step.name,
    BERTH_STEP_RUN: stepRun.key,
    BERTH_ATTEMPT: String(stepRun.attempt),
    BERTH_IDEMPOTENCY_KEY: idempotencyKey(run.id, stepRun.key),
    BERTH_PARAMS: JSON.stringify(params),
    ...(reserved === undefined || reserved.gpus.length === 0 ? {} : { BERTH_GPUS: reserved.gpus.join(",") }),
    ...(run.end === null ? {} : { BERTH_RUN_STATE: run.end.state, BERTH_RUN_FAULT: JSON.stringify(run.end.fault) }),
  };
}

/** The same for every attempt of a step run, and for no other: what an external effect is made idempotent by. */
function idempotencyKey(run: string, stepRun: string): string {
  return createHash("sha256")
    .update(JSON.stringify([run, stepRun]))
    .digest("hex");
}
