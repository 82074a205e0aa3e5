import type { Delivery } from "../../protocol/triggers.ts";
import type { Queryable } from "./database.ts";

/** For longer than any sender tries again. */
const KEPT_DAYS = 30;

export const DELIVERY = `
  SELECT d.webhook_id AS id, d.received_at AS "receivedAt", d.outcome, d.message,
         CASE WHEN r.id IS NULL THEN NULL
              ELSE json_build_object('id', r.id, 'number', r.number, 'state', r.state) END AS run
  FROM trigger_deliveries d LEFT JOIN runs r ON r.id = d.run_id`;

/** The time is a date of the driver, or text where the row came inside of JSON. */
export interface DeliveryRow extends Omit<Delivery, "receivedAt"> {
  readonly receivedAt: Date | string;
}

export function toDelivery({ receivedAt, ...row }: DeliveryRow): Delivery {
  return { ...row, receivedAt: new Date(receivedAt).toISOString() };
}

/** The newest first. */
export async function listDeliveries(db: Queryable, trigger: string, limit: number): Promise<Delivery[]> {
  const { rows } = await db.query<DeliveryRow>(
    `${DELIVERY} WHERE d.trigger_id = $1 ORDER BY d.received_at DESC LIMIT $2`,
    [trigger, limit],
  );
  return rows.map(toDelivery);
}

export async function findDelivery(
  client: Queryable,
  trigger: string,
  id: string,
): Promise<(Delivery & { readonly digest: Buffer }) | null> {
  const { rows } = await client.query<DeliveryRow & { digest: Buffer }>(
    `SELECT found.*, d.digest FROM (${DELIVERY} WHERE d.trigger_id = $1 AND d.webhook_id = $2) found
     JOIN trigger_deliveries d ON d.trigger_id = $1 AND d.webhook_id = found.id`,
    [trigger, id],
  );
  const [row] = rows;
  return row === undefined ? null : { ...toDelivery(row), digest: row.digest };
}

/** Messages that a trigger received within the last minute. */
export async function deliveriesPerMinute(client: Queryable, trigger: string): Promise<number> {
  const { rows } = await client.query<{ count: number }>(
    `SELECT count(*)::integer AS count FROM trigger_deliveries
     WHERE trigger_id = $1 AND received_at > now() - interval '1 minute'`,
    [trigger],
  );
  return rows[0]!.count;
}

export interface NewDelivery {
  readonly trigger: string;
  readonly project: string;
  readonly id: string;
  readonly digest: Buffer;
  readonly outcome: Delivery["outcome"];
  readonly message: string | null;
  readonly run: string | null;
}

/** Notes a message; one that was refused before gets its new outcome, and nothing else ever changes. */
export async function putDelivery(client: Queryable, delivery: NewDelivery): Promise<void> {
  const { trigger, project, id, digest, outcome, message, run } = delivery;
  const { rowCount } = await client.query(
    `INSERT INTO trigger_deliveries (trigger_id, webhook_id, project_id, digest, outcome, message, run_id)
     VALUES ($1, $2, $3, $4, $5, $6, $7)
     ON CONFLICT (trigger_id, webhook_id) DO UPDATE SET
       digest = EXCLUDED.digest, outcome = EXCLUDED.outcome, message = EXCLUDED.message, run_id = EXCLUDED.run_id,
       received_at = EXCLUDED.received_at
     WHERE trigger_deliveries.outcome = 'refused'`,
    [trigger, id, project, digest, outcome, message, run],
  );
  if (rowCount !== 1) throw new Error(`the message ${id} was taken by somebody else, in spite of the lock`);
  await client.query(
    `DELETE FROM trigger_deliveries WHERE trigger_id = $1 AND received_at < now() - interval '${KEPT_DAYS} days'`,
    [trigger],
  );
}
