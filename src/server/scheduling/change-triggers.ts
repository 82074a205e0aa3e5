import { checkMapping } from "../../pipeline/payload-mapping.ts";
import { BerthError } from "../../protocol/errors.ts";
import { newId } from "../../protocol/ids.ts";
import type {
  CreateTriggerRequest,
  PayloadMapping,
  PutTriggerRequest,
  Trigger,
  TriggerWithSecret,
} from "../../protocol/triggers.ts";
import { newWebhookSecret } from "../../protocol/webhook-signature.ts";
import type { Services } from "../services.ts";
import { recordAudit } from "../store/audit.ts";
import type { Queryable } from "../store/database.ts";
import { ensureVersion, takePipeline } from "../store/pipelines.ts";
import {
  deleteTrigger,
  findTrigger,
  insertTrigger,
  lockTrigger,
  rotateSecret,
  secretPlace,
  setTriggerPaused,
  type TriggerDefinition,
  updateTrigger,
} from "../store/triggers.ts";
import { compileFile } from "./compile-file.ts";
import { requireSource, type Submitter } from "./create-run.ts";

/** What changes triggers works with. */
type Parts = Pick<Services, "database" | "sealer">;

/** Makes a trigger, with a secret that is told this once. */
export async function createTrigger(
  { database, sealer }: Parts,
  submitter: Submitter,
  request: CreateTriggerRequest,
): Promise<TriggerWithSecret> {
  const { project } = submitter;
  const { name } = request;
  const id = newId("trigger");
  const secret = newWebhookSecret();
  const sealed = await sealer.seal(secretPlace(id), secret);
  return database.transaction(async (client) => {
    const definition = await definitionOf(client, submitter, request);
    if (!(await insertTrigger(client, { id, project, name, secret: sealed, ...definition }))) {
      throw new BerthError("conflict", `There is a trigger ${name} already.`, {
        advice: `Change what it runs: berth triggers update ${name} FILE. A new secret: berth triggers rotate ${name}`,
      });
    }
    const details = { id, pipelineVersion: definition.pipelineVersion };
    await recordAudit(client, { project, action: "trigger.create", subject: name, details });
    return { ...(await findTrigger(client, project, id))!, secret };
  });
}

/** Another pipeline, version or mapping; address and secret stay, and of the mapping what the request does not name. */
export async function changeTrigger(
  { database }: Parts,
  submitter: Submitter,
  reference: string,
  request: PutTriggerRequest,
): Promise<void> {
  await database.transaction(async (client) => {
    const { id, name, ...before } = await lockedOrNotFound(client, submitter.project, reference);
    const { params = before.params, when = before.when } = request;
    const definition = await definitionOf(client, submitter, { ...request, params, when }, keptAdvice(name));
    await updateTrigger(client, id, definition);
    const { project } = submitter;
    const details = { id, pipelineVersion: definition.pipelineVersion };
    await recordAudit(client, { project, action: "trigger.change", subject: name, details });
  });
}

/** The new secret; the old one is good as well for a while, or not. */
export async function rotateTrigger(
  { database, sealer }: Parts,
  { project, by }: Submitter,
  reference: string,
  keepOldSeconds: number,
): Promise<TriggerWithSecret> {
  const secret = newWebhookSecret();
  return database.transaction(async (client) => {
    const { id, name } = await lockedOrNotFound(client, project, reference);
    await recordAudit(client, { project, action: "trigger.rotate", subject: name, details: { id, keepOldSeconds } });
    await rotateSecret(client, id, await sealer.seal(secretPlace(id), secret), { keepOldSeconds, by });
    return { ...(await findTrigger(client, project, id))!, secret };
  });
}

/** `reason` undefined resumes it. */
export async function pauseTrigger(
  { database }: Parts,
  { project, by }: Submitter,
  reference: string,
  reason: string | null | undefined,
): Promise<void> {
  await database.transaction(async (client) => {
    const { id, name } = await lockedOrNotFound(client, project, reference);
    await setTriggerPaused(client, id, reason === undefined ? null : { by, reason });
    const action = reason === undefined ? "trigger.resume" : "trigger.pause";
    await recordAudit(client, { project, action, subject: name, details: { id, reason: reason ?? null } });
  });
}

export async function removeTrigger({ database }: Parts, project: string, reference: string): Promise<void> {
  await database.transaction(async (client) => {
    const { id, name } = await lockedOrNotFound(client, project, reference);
    await deleteTrigger(client, id);
    await recordAudit(client, { project, action: "trigger.remove", subject: name, details: { id } });
  });
}

function keptAdvice(name: string): string {
  return `What is not named stays as it was. Without it: berth triggers update ${name} FILE --unmap PARAM, or --no-when`;
}

/** Checks everything that can be before a webhook comes, and stores the pipeline's version. */
async function definitionOf(
  client: Queryable,
  { project, by }: Submitter,
  { pipeline: text, fileName, source = null, params, when }: PutTriggerRequest & PayloadMapping,
  advice?: string,
): Promise<Omit<TriggerDefinition, "name">> {
  const { plan } = compileFile(text, fileName);
  const problems = checkMapping({ params, when }, plan);
  if (problems.length > 0) {
    throw new BerthError("invalid_params", "Runs of the pipeline cannot be started like this.", {
      problems,
      ...(advice === undefined ? {} : { advice }),
    });
  }
  if (source !== null) await requireSource(client, project, source);
  const pipeline = await takePipeline(client, project, plan.name);
  const pipelineVersion = await ensureVersion(client, pipeline, { project, by, source: text, plan });
  return { pipelineId: pipeline.id, pipelineVersion, source, params, when, by };
}

async function lockedOrNotFound(client: Queryable, project: string, reference: string): Promise<Trigger> {
  return (await lockTrigger(client, project, reference)) ?? noTrigger(reference);
}

export function noTrigger(reference: string): never {
  throw new BerthError("not_found", `There is no trigger ${reference}.`, {
    advice: "`berth triggers` lists them.",
  });
}
