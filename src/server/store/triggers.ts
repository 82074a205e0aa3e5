import { BerthError } from "../../protocol/errors.ts";
import type { SourceRef } from "../../protocol/plan.ts";
import type { Trigger, TriggerState } from "../../protocol/triggers.ts";
import type { KeyRing } from "../keys/key-ring.ts";
import type { Queryable } from "./database.ts";
import { DELIVERY, type DeliveryRow, toDelivery } from "./deliveries.ts";

/** Where the secrets of a trigger belong: what they are sealed for. */
export function secretPlace(trigger: string): string {
  return `triggers/${trigger}/secret`;
}

export interface HookSecrets {
  readonly project: string;
  readonly secret: Buffer;
  /** The one before the last rotation, as long as it is good. */
  readonly oldSecret: Buffer | null;
}

/** What a call of a trigger is checked with; the database's clock also where there is no such trigger. */
export async function findHookSecrets(
  db: Queryable,
  trigger: string,
): Promise<{ readonly now: number; readonly hook: HookSecrets | null }> {
  const { rows } = await db.query<HookSecrets & { now: number; id: string | null }>(
    `SELECT extract(epoch FROM now())::float8 AS now, t.id, t.project_id AS project, t.secret,
            CASE WHEN t.old_secret_until > now() THEN t.old_secret END AS "oldSecret"
     FROM (VALUES (1)) one LEFT JOIN triggers t ON t.id = $1`,
    [trigger],
  );
  const { now, id, ...hook } = rows[0]!;
  return { now, hook: id === null ? null : hook };
}

export interface TriggerDefinition {
  readonly name: string;
  readonly pipelineId: string;
  readonly pipelineVersion: number;
  readonly source: SourceRef | null;
  readonly params: Readonly<Record<string, string>>;
  readonly when: string | null;
  readonly by: string;
}

/** False where there is one of that name. */
export async function insertTrigger(
  client: Queryable,
  { id, project, secret, ...trigger }: TriggerDefinition & { id: string; project: string; secret: Buffer },
): Promise<boolean> {
  const { rowCount } = await client.query(
    `INSERT INTO triggers (id, project_id, name, pipeline_id, pipeline_version, source_digest, source_size, params, condition,
       secret, changed_by)
     VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11) ON CONFLICT (project_id, name) DO NOTHING`,
    [
      id,
      project,
      trigger.name,
      trigger.pipelineId,
      trigger.pipelineVersion,
      trigger.source?.digest ?? null,
      trigger.source?.size ?? null,
      JSON.stringify(trigger.params),
      trigger.when,
      secret,
      trigger.by,
    ],
  );
  return rowCount === 1;
}

export async function updateTrigger(
  client: Queryable,
  id: string,
  trigger: Omit<TriggerDefinition, "name">,
): Promise<void> {
  await client.query(
    `UPDATE triggers SET pipeline_id = $2, pipeline_version = $3, source_digest = $4, source_size = $5, params = $6,
       condition = $7, changed_by = $8, changed_at = now() WHERE id = $1`,
    [
      id,
      trigger.pipelineId,
      trigger.pipelineVersion,
      trigger.source?.digest ?? null,
      trigger.source?.size ?? null,
      JSON.stringify(trigger.params),
      trigger.when,
      trigger.by,
    ],
  );
}

/** The secret that was is good for a while longer. */
export async function rotateSecret(
  client: Queryable,
  id: string,
  secret: Buffer,
  { keepOldSeconds, by }: { readonly keepOldSeconds: number; readonly by: string },
): Promise<void> {
  await client.query(
    `UPDATE triggers SET secret = $2, old_secret = CASE WHEN $3 > 0 THEN secret END,
       old_secret_until = CASE WHEN $3 > 0 THEN now() + make_interval(secs => $3) END,
       changed_by = $4, changed_at = now() WHERE id = $1`,
    [id, secret, keepOldSeconds, by],
  );
}

/** `pause` null takes it back. */
export async function setTriggerPaused(
  client: Queryable,
  id: string,
  pause: { readonly by: string; readonly reason: string | null } | null,
): Promise<void> {
  await client.query(
    `UPDATE triggers SET paused_at = CASE WHEN $2::text IS NULL THEN NULL ELSE COALESCE(paused_at, now()) END,
       paused_by = $2, pause_reason = $3 WHERE id = $1`,
    [id, pause?.by ?? null, pause?.reason ?? null],
  );
}

export async function deleteTrigger(client: Queryable, id: string): Promise<void> {
  await client.query("DELETE FROM triggers WHERE id = $1", [id]);
}

const STATE = "CASE WHEN t.paused_at IS NOT NULL THEN 'paused' ELSE 'active' END";

const TRIGGER = `
  SELECT t.id, t.name, p.name AS pipeline, t.pipeline_version AS "pipelineVersion",
         CASE WHEN t.source_digest IS NULL THEN NULL
              ELSE json_build_object('digest', t.source_digest, 'size', t.source_size) END AS source,
         t.params, t.condition AS "when", ${STATE} AS state, t.paused_at AS "pausedAt", t.paused_by AS "pausedBy",
         t.pause_reason AS "pauseReason",
         CASE WHEN t.old_secret_until > now() THEN t.old_secret_until END AS "oldSecretUntil",
         t.changed_by AS "changedBy", t.changed_at AS "changedAt", to_jsonb(last) AS last
  FROM triggers t JOIN pipelines p ON p.id = t.pipeline_id
    LEFT JOIN LATERAL (${DELIVERY} WHERE d.trigger_id = t.id ORDER BY d.received_at DESC LIMIT 1) last ON true`;

export interface TriggerFilter {
  readonly state: TriggerState | null;
  /** Only names after this one. */
  readonly after: string | null;
  readonly limit: number;
}

/** By name. */
export async function listTriggers(
  db: Queryable,
  project: string,
  { state, after, limit }: TriggerFilter,
): Promise<Trigger[]> {
  const { rows } = await db.query(
    `${TRIGGER} WHERE t.project_id = $1 AND ($2::text IS NULL OR ${STATE} = $2) AND ($3::text IS NULL OR t.name > $3)
     ORDER BY t.name LIMIT $4`,
    [project, state, after, limit],
  );
  return rows.map(toTrigger);
}

/** By id or name. Null when there is none. */
export async function findTrigger(db: Queryable, project: string, reference: string): Promise<Trigger | null> {
  // A name may look like an id: of another trigger, that one is meant.
  const { rows } = await db.query(
    `${TRIGGER} WHERE t.project_id = $1 AND (t.id = $2 OR t.name = $2) ORDER BY t.id = $2 DESC LIMIT 1`,
    [project, reference],
  );
  return rows[0] === undefined ? null : toTrigger(rows[0]);
}

/** The same, for whoever changes it or makes a run of it; waits for others who do. */
export async function lockTrigger(client: Queryable, project: string, reference: string): Promise<Trigger | null> {
  await client.query("SELECT FROM triggers WHERE project_id = $1 AND (id = $2 OR name = $2) FOR NO KEY UPDATE", [
    project,
    reference,
  ]);
  return findTrigger(client, project, reference);
}

// biome-ignore lint/suspicious/noExplicitAny: the row of the query above, column by column.
function toTrigger({ pausedAt, pausedBy, pauseReason, last, ...row }: any): Trigger {
  return {
    ...row,
    path: `/api/v1/hooks/${row.id}`,
    paused: pausedAt === null ? null : { at: pausedAt.toISOString(), by: pausedBy, reason: pauseReason },
    oldSecretUntil: row.oldSecretUntil?.toISOString() ?? null,
    lastDelivery: last === null ? null : toDelivery(last as DeliveryRow),
    changedAt: row.changedAt.toISOString(),
  };
}

/** Seals the secrets of a project's triggers under the newest key; how many triggers that were. */
export async function resealTriggers(client: Queryable, ring: KeyRing, project: string): Promise<number> {
  const { rows } = await client.query<{ id: string; name: string; secret: Buffer; oldSecret: Buffer | null }>(
    `SELECT id, name, secret, CASE WHEN old_secret_until > now() THEN old_secret END AS "oldSecret" FROM triggers
     WHERE project_id = $1 ORDER BY id FOR NO KEY UPDATE`,
    [project],
  );
  for (const { id, name, secret, oldSecret } of rows) {
    const anew = async (sealed: Buffer) => ring.seal(secretPlace(id), await ring.open(secretPlace(id), sealed));
    await client.query("UPDATE triggers SET secret = $2, old_secret = $3 WHERE id = $1", [
      id,
      await anew(secret).catch((error: unknown) => {
        throw doesNotOpen(error, name);
      }),
      oldSecret === null ? null : await anew(oldSecret).catch(noneWhereUnreadable),
    ]);
  }
  return rows.length;
}

function isUnreadable(error: unknown): boolean {
  return error instanceof BerthError && error.code === "secret_unreadable";
}

/** The new secret was made in its place. */
function noneWhereUnreadable(error: unknown): null {
  if (isUnreadable(error)) return null;
  throw error;
}

function doesNotOpen(cause: unknown, name: string): unknown {
  if (!isUnreadable(cause)) return cause;
  return new BerthError(
    "secret_unreadable",
    `The secret of the trigger ${name} does not open with this server's keys.`,
    {
      advice: `Nothing was changed. Put the key back, or make a new secret: berth triggers rotate ${name}`,
      details: { trigger: name },
      cause,
    },
  );
}
