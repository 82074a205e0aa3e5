import { compilePipeline } from "../../pipeline/compile.ts";
import { resolveParams } from "../../pipeline/params.ts";
import { runNeeds } from "../../pipeline/run-need.ts";
import { initialStepRuns } from "../../pipeline/step-runs.ts";
import { BerthError } from "../../protocol/errors.ts";
import { newId } from "../../protocol/ids.ts";
import type { Plan, SourceRef } from "../../protocol/plan.ts";
import type { CreateRunRequest } from "../../protocol/resources.ts";
import type { StartedBy } from "../../protocol/started-by.ts";
import { blobSizes } from "../store/commit-blobs.ts";
import type { Database, Queryable } from "../store/database.ts";
import { appendServerEvents } from "../store/events.ts";
import { noteStart } from "../store/firings.ts";
import { ensureVersion, findVersion, takeRunNumber } from "../store/pipelines.ts";
import { findRunByRequestKey, insertRun } from "../store/runs.ts";
import { insertStepRuns } from "../store/step-runs.ts";
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
export async function createRun(database: Database, submitter: Submitter, request: CreateRunRequest): Promise<string> {
  const { project } = submitter;
  return oncePerKey(database, project, request.requestKey ?? null, () => makeRun(database, submitter, request));
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
    // Somebody else used the same key at the same time.
    const first = isDuplicateKey(error) ? await findRunByRequestKey(database.pool, project, requestKey) : null;
    if (first === null) throw error;
    return first;
  }
}

async function makeRun(database: Database, submitter: Submitter, request: CreateRunRequest): Promise<string> {
  const checked = await checkRequest(database.pool, submitter, request);
  return database.transaction((client) => writeRun(client, submitter, request, checked));
}

/** Makes a run within a transaction of the caller. Throws a BerthError before anything is written. */
export async function createRunWithin(
  client: Queryable,
  submitter: Submitter,
  request: CreateRunRequest,
): Promise<string> {
  return writeRun(client, submitter, request, await checkRequest(client, submitter, request));
}

type CheckedRequest = Definition & Pick<Parameters<typeof insertRun>[1], "params" | "source">;

async function checkRequest(db: Queryable, { project }: Submitter, request: CreateRunRequest): Promise<CheckedRequest> {
  const definition = await definitionOf(db, project, request);
  const params = resolveParams(definition.plan, request.params);
  if (!params.ok) {
    throw new BerthError("invalid_params", "The parameters do not fit the pipeline.", { problems: params.problems });
  }
  const source = request.source ?? null;
  if (source !== null) await requireSource(db, project, source);
  return { ...definition, params: params.params, source };
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
    const compiled = compilePipeline(pipeline, { fileName: fileName ?? "pipeline.yaml" });
    if (compiled.ok) return { text: pipeline, plan: compiled.plan, version: null };
    throw new BerthError("invalid_pipeline", "The pipeline is not valid.", { problems: compiled.problems });
  }
  const known = await findVersion(db, project, pipeline.name, pipeline.version ?? null);
  if (known !== null) return { text: null, plan: known.plan, version: known.version };
  const version = pipeline.version === undefined ? "" : ` version ${pipeline.version}`;
  throw new BerthError("not_found", `There is no pipeline ${pipeline.name}${version}.`);
}

export async function requireSource(db: Queryable, project: string, { digest, size }: SourceRef): Promise<void> {
  const stored = (await blobSizes(db, project, [digest])).get(digest);
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
  { text, plan, version, params, source }: CheckedRequest,
): Promise<string> {
  const id = newId("run");
  const wanted = {
    pool: request.pool ?? plan.worker.pool,
    labels: request.labels ?? plan.worker.labels,
    backend: request.backend ?? plan.worker.backend,
    needs: runNeeds(plan),
  };
  if (request.failIfImpossible) await requirePossible(client, project, wanted);
  const pipeline = await takeRunNumber(client, project, plan.name);
  await insertRun(client, {
    ...{ id, project, by, params, source, ...wanted },
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
  return id;
}

function isDuplicateKey(error: unknown): boolean {
  const { code, constraint } = error as { code?: string; constraint?: string };
  return code === "23505" && constraint === "runs_request_key";
}
