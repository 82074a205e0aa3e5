import { resolveConcurrency } from "../../pipeline/concurrency-group.ts";
import { resolveParams } from "../../pipeline/params.ts";
import { runNeeds } from "../../pipeline/run-need.ts";
import { initialStepRuns } from "../../pipeline/step-runs.ts";
import { BerthError } from "../../protocol/errors.ts";
import { newId } from "../../protocol/ids.ts";
import type { Concurrency, Params, Plan, SourceRef } from "../../protocol/plan.ts";
import type { CreateRunRequest } from "../../protocol/resources.ts";
import type { StartedBy } from "../../protocol/started-by.ts";
import type { Services } from "../services.ts";
import { recordAudit, systemActor } from "../store/audit.ts";
import { holdBlobs } from "../store/commit-blobs.ts";
import type { Database, Queryable } from "../store/database.ts";
import { appendServerEvents } from "../store/events.ts";
import { noteStart } from "../store/firings.ts";
import { lockGroup } from "../store/groups.ts";
import { ensureVersion, findVersion, takeRunNumber } from "../store/pipelines.ts";
import { findRunByRequestKey, insertRun } from "../store/runs.ts";
import { insertStepRuns } from "../store/step-runs.ts";
import { variablesOf } from "../store/variables.ts";
import { compileFile } from "./compile-file.ts";
import { announce, type Entered, enterGroup, type WrittenRun } from "./enter-group.ts";
import { requireSecrets } from "./require-secrets.ts";
import { requirePossible } from "./waiting.ts";

export interface Submitter {
  readonly project: string;
  /** Name of the token that the request came with, or of what else made the run. */
  readonly by: string;
  /** Left out: the person of that name. */
  readonly startedBy?: StartedBy;
  /** Id of the schedule that the run belongs to. */
  readonly schedule?: string;
}

/** Makes a run, with all its step runs, and answers its id; the earlier one's where the request key was used before. */
export async function createRun(
  services: Pick<Services, "database" | "wakeups">,
  submitter: Submitter,
  request: CreateRunRequest,
): Promise<string> {
  const { database } = services;
  return oncePerKey(database, submitter.project, request.requestKey ?? null, async () => {
    const checked = await checkRequest(database.pool, submitter, request);
    const entered = await database.transaction((client) => makeRun(client, submitter, request, checked));
    announce(services, entered);
    return entered.id;
  });
}

/** Makes a run unless one with this key exists, and answers the id of the one that there is. */
export async function oncePerKey(
  database: Database,
  project: string,
  requestKey: string | null,
  make: () => Promise<string>,
): Promise<string> {
  if (requestKey === null) return make();
  const earlier = await findRunByRequestKey(database.pool, project, requestKey);
  if (earlier !== null) return earlier;
  try {
    return await make();
  } catch (error) {
    // Somebody else used the same key at the same time; the place that is taken may be that very run's.
    const first =
      isDuplicateKey(error) || isGroupBusy(error)
        ? await findRunByRequestKey(database.pool, project, requestKey)
        : null;
    if (first === null) throw error;
    return first;
  }
}

/**
 * For a caller that locks runs in the same transaction before it makes one: takes the lock of the group that the new run
 * enters. A request that is refused enters none, and is refused again when the run is made.
 */
export async function lockGroupFor(client: Queryable, submitter: Submitter, request: CreateRunRequest): Promise<void> {
  const { project } = submitter;
  try {
    const { concurrency } = await checkRequest(client, submitter, request);
    if (concurrency !== null) await lockGroup(client, { project, group: concurrency.group });
  } catch (error) {
    if (!(error instanceof BerthError)) throw error;
  }
}

/** Makes a run within a transaction of the caller, who announces it. Throws a BerthError before anything is written. */
export async function createRunWithin(
  client: Queryable,
  submitter: Submitter,
  request: CreateRunRequest,
): Promise<Entered> {
  return makeRun(client, submitter, request, await checkRequest(client, submitter, request));
}

function makeRun(
  client: Queryable,
  submitter: Submitter,
  request: CreateRunRequest,
  checked: CheckedRequest,
): Promise<Entered> {
  return enterGroup(client, submitter.project, checked.concurrency, () =>
    writeRun(client, submitter, request, checked),
  );
}

interface CheckedRequest extends Definition, Pick<Parameters<typeof insertRun>[1], "params" | "source"> {
  readonly concurrency: Concurrency | null;
}

async function checkRequest(db: Queryable, { project }: Submitter, request: CreateRunRequest): Promise<CheckedRequest> {
  const definition = await definitionOf(db, project, request);
  const params = resolveParams(definition.plan, request.params);
  if (!params.ok) {
    throw new BerthError("invalid_params", "The parameters do not fit the pipeline.", { problems: params.problems });
  }
  await requireSecrets(db, project, definition.plan);
  const source = request.source ?? null;
  if (source !== null) await requireSource(db, project, source);
  return { ...definition, params: params.params, source, concurrency: concurrencyOf(definition.plan, params.params) };
}

/** The group that a run with these parameters belongs to. */
export function concurrencyOf(plan: Plan, params: Params): Concurrency | null {
  const resolved = resolveConcurrency(plan, params);
  if (resolved.ok) return resolved.concurrency;
  const { problems } = resolved;
  throw new BerthError("invalid_params", "The parameters do not name a group of runs.", { problems });
}

interface Definition {
  /** As submitted; null for a version that the server has. */
  readonly text: string | null;
  readonly plan: Plan;
  readonly version: number | null;
}

/** The plan of what was submitted, or of what is named. */
export async function definitionOf(
  db: Queryable,
  project: string,
  request: Pick<CreateRunRequest, "pipeline" | "fileName">,
): Promise<Definition> {
  const { pipeline, fileName } = request;
  if (typeof pipeline === "string") {
    return { text: pipeline, plan: compileFile(pipeline, fileName).plan, version: null };
  }
  const known = await findVersion(db, project, pipeline.name, pipeline.version ?? null);
  if (known !== null) return { text: null, plan: known.plan, version: known.version };
  const version = pipeline.version === undefined ? "" : ` version ${pipeline.version}`;
  throw new BerthError("not_found", `There is no pipeline ${pipeline.name}${version}.`);
}

/** Within the transaction that refers to it, the source stays. */
export async function requireSource(db: Queryable, project: string, { digest, size }: SourceRef): Promise<void> {
  const stored = (await holdBlobs(db, project, [digest])).get(digest);
  if (stored === undefined) {
    throw new BerthError("missing_blobs", "The source is not in the store.", {
      advice: "Upload it first, then submit the run again.",
      details: { missing: [digest] },
    });
  }
  if (stored === size) return;
  throw new BerthError("invalid_request", `The source has ${stored} bytes, not ${size}.`);
}

async function writeRun(
  client: Queryable,
  { project, by, startedBy, schedule }: Submitter,
  request: CreateRunRequest,
  { text, plan, version, params, source, concurrency }: CheckedRequest,
): Promise<WrittenRun> {
  const id = newId("run");
  const wanted = {
    pool: request.pool ?? plan.worker.pool,
    labels: request.labels ?? plan.worker.labels,
    backend: request.backend ?? plan.worker.backend,
    needs: runNeeds(plan),
  };
  if (request.failIfImpossible) await requirePossible(client, project, wanted);
  // It was looked for before, when nothing held it.
  if (source !== null) await requireSource(client, project, source);
  const pipeline = await takeRunNumber(client, project, plan.name);
  await insertRun(client, {
    ...{ id, project, by, params, source, concurrency, ...wanted },
    variables: await variablesOf(client, project),
    pipelineId: pipeline.id,
    pipelineVersion: version ?? (await ensureVersion(client, pipeline, { project, by, source: text!, plan })),
    number: pipeline.number,
    priority: request.priority ?? plan.priority,
    ...{ timeoutMs: plan.timeoutMs, queueTimeoutMs: plan.queueTimeoutMs },
    noCache: request.noCache ?? false,
    requestKey: request.requestKey ?? null,
    restartOf: null,
  });
  if (startedBy !== undefined) await noteStart(client, id, startedBy, schedule ?? null);
  await insertStepRuns(client, { id, project }, initialStepRuns(plan));
  await appendServerEvents(client, { id, project }, [{ type: "run.created", by }]);
  const name = `${plan.name}#${pipeline.number}`;
  const details = { name, by, pool: wanted.pool, source: source?.digest ?? null };
  await recordAudit(client, { project, action: "run.submit", subject: id, details, actor: systemActor(by) });
  return { id, name };
}

function isGroupBusy(error: unknown): boolean {
  return error instanceof BerthError && error.code === "group_busy";
}

function isDuplicateKey(error: unknown): boolean {
  const { code, constraint } = error as { code?: string; constraint?: string };
  return code === "23505" && constraint === "runs_request_key";
}
