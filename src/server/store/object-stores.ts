import type { Queryable } from "./database.ts";

/** Any number that nothing else in this database uses: servers that start at once make one marker per store. */
const ADVISORY_LOCK = 7_274_827_004;

export interface KnownStoreRow {
  readonly id: string;
  readonly place: string;
}

/** The first store first. */
export async function knownStores(db: Queryable): Promise<KnownStoreRow[]> {
  const { rows } = await db.query<KnownStoreRow>("SELECT id, place FROM object_stores ORDER BY created_at, id");
  return rows;
}

export async function upsertStore(db: Queryable, { id, place }: KnownStoreRow): Promise<void> {
  await db.query(
    `INSERT INTO object_stores (id, place) VALUES ($1, $2)
     ON CONFLICT (id) DO UPDATE SET place = EXCLUDED.place WHERE object_stores.place <> EXCLUDED.place`,
    [id, place],
  );
}

/** Until the transaction ends. */
export async function lockObjectStores(db: Queryable): Promise<void> {
  await db.query("SELECT pg_advisory_xact_lock($1)", [ADVISORY_LOCK]);
}
