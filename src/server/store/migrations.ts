import { createHash, randomBytes } from "node:crypto";
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import type pg from "pg";
import { BerthError } from "../../protocol/errors.ts";
import { newId } from "../../protocol/ids.ts";
import { connect } from "../postgres/connect.ts";

/** One numbered file: `0001_foundation.sql`. */
export interface Migration {
  readonly version: number;
  readonly name: string;
  readonly sql: string;
  readonly checksum: string;
}

const FILE_NAME = /^(\d{4})_([a-z0-9_]+)\.sql$/;
/** Any number, as long as nothing else in this database uses it. */
const ADVISORY_LOCK = 7_274_827_001;
const CONNECT_TIMEOUT_MS = 5_000;

export const DEFAULT_PROJECT = "default";

/** The migrations of a folder, in order; throws when a number is missing or used twice. */
export function readMigrations(folder: string = join(import.meta.dirname, "migrations")): Migration[] {
  const migrations = readdirSync(folder)
    .filter((file) => file.endsWith(".sql"))
    .sort()
    .map((file) => readMigration(folder, file));
  for (const [index, { version, name }] of migrations.entries()) {
    if (version !== index + 1) throw new Error(`migration ${version} (${name}) should have number ${index + 1}`);
  }
  return migrations;
}

function readMigration(folder: string, file: string): Migration {
  const match = FILE_NAME.exec(file);
  if (match === null) throw new Error(`${file} is not named like 0001_what_it_does.sql`);
  const sql = readFileSync(join(folder, file), "utf8");
  return { version: Number(match[1]), name: match[2]!, sql, checksum: createHash("sha256").update(sql).digest("hex") };
}

/**
 * Brings the database to the state that this program needs, each migration in its own transaction. Replicas that start
 * at the same time wait for one another. A database that a newer Berth migrated, or whose migrations were other ones,
 * is left as it is.
 *
 * @returns the id of this installation, made at the first start
 */
export async function migrate(url: string, migrations: readonly Migration[] = readMigrations()): Promise<string> {
  // No statement time-out, unlike the pool: building an index may take long.
  const client = await connect({
    connectionString: url,
    application_name: "berth-migrations",
    connectionTimeoutMillis: CONNECT_TIMEOUT_MS,
  });
  try {
    await client.query("SELECT pg_advisory_lock($1)", [ADVISORY_LOCK]);
    const applied = await appliedMigrations(client);
    refuseForeign(applied, migrations);
    for (const migration of migrations.slice(applied.length)) await apply(client, migration);
    return await ensureFirstRows(client);
  } finally {
    // Ends the session, and with it the lock.
    await client.end();
  }
}

interface Applied {
  readonly version: number;
  readonly name: string;
  readonly checksum: string;
}

async function appliedMigrations(client: pg.Client): Promise<Applied[]> {
  await client.query(`
    CREATE TABLE IF NOT EXISTS schema_migrations (
      version integer PRIMARY KEY,
      name text NOT NULL,
      checksum text NOT NULL,
      applied_at timestamptz NOT NULL DEFAULT now()
    )`);
  const { rows } = await client.query<Applied>(
    "SELECT version, name, checksum FROM schema_migrations ORDER BY version",
  );
  return rows;
}

function refuseForeign(applied: readonly Applied[], known: readonly Migration[]): void {
  const newest = applied.at(-1);
  if (newest !== undefined && newest.version > known.length) {
    throw new BerthError(
      "unavailable",
      `the database was migrated by a newer Berth (to ${newest.version}, ${newest.name}; this one knows ${known.length})`,
      { advice: "Start a Berth at least as new as the one that migrated it; going back needs a back-up." },
    );
  }
  for (const [index, row] of applied.entries()) {
    const migration = known[index]!;
    if (row.version === migration.version && row.checksum === migration.checksum) continue;
    throw new BerthError(
      "unavailable",
      `migration ${row.version} (${row.name}) of the database is not the one of this Berth (${migration.name})`,
      { advice: "Migrations never change once applied: check that database and program belong together." },
    );
  }
}

async function apply(client: pg.Client, migration: Migration): Promise<void> {
  await client.query("BEGIN");
  try {
    await client.query(migration.sql);
    await client.query("INSERT INTO schema_migrations (version, name, checksum) VALUES ($1, $2, $3)", [
      migration.version,
      migration.name,
      migration.checksum,
    ]);
    await client.query("COMMIT");
  } catch (error) {
    await client.query("ROLLBACK");
    throw new BerthError(
      "unavailable",
      `migration ${migration.version} (${migration.name}) failed: ${error instanceof Error ? error.message : String(error)}`,
      { advice: "Nothing of it was kept; the migrations before it are in place.", cause: error },
    );
  }
}

async function ensureFirstRows(client: pg.Client): Promise<string> {
  await client.query("INSERT INTO installation (id) VALUES ($1) ON CONFLICT DO NOTHING", [newInstallationId()]);
  await client.query("INSERT INTO projects (id, name) VALUES ($1, $2) ON CONFLICT DO NOTHING", [
    newId("project"),
    DEFAULT_PROJECT,
  ]);
  const { rows } = await client.query<{ id: string }>("SELECT id FROM installation");
  return rows[0]!.id;
}

/** Short, because it is in labels that people read; 60 bits, so that two installations on a host never share one. */
function newInstallationId(): string {
  return BigInt(`0x${randomBytes(8).toString("hex")}`)
    .toString(36)
    .padStart(12, "0")
    .slice(-12);
}
