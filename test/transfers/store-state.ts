import { readdirSync, statSync, utimesSync } from "node:fs";
import { basename, join } from "node:path";
import pg from "pg";

/** Older than what the collector leaves alone because it may still be on its way. */
const AGED_MS = 3 * 24 * 60 * 60_000;

/** By which a store knows whose it is; it belongs to no blob. */
const STORE_MARKER = "berth-store.json";

/** A store whose objects are files, as those of the folder store and of the S3 server of the tests are. */
export interface StoreFiles {
  /** Of all objects. */
  readonly objects: readonly string[];
  /** Of what is being written. */
  readonly unfinished: readonly string[];
}

/** Makes everything look as if it had been written days ago, so that a collection now takes what it would take then. */
export async function ageStore({ objects, unfinished }: StoreFiles, databaseUrl: string): Promise<void> {
  const then = new Date(Date.now() - AGED_MS);
  for (const file of [...objects, ...unfinished].flatMap(filesBelow)) utimesSync(file, then, then);
  await query(databaseUrl, `UPDATE uploads SET moved_at = moved_at - interval '3 days'`);
}

/** What the database and the files say of each other: objects that no row names, rows without their object, leftovers. */
export async function strayFiles({ objects, unfinished }: StoreFiles, databaseUrl: string): Promise<string[]> {
  const rows = await query<{ key: string; size: string }>(
    databaseUrl,
    "SELECT object_key AS key, size FROM blobs WHERE tier <> 'database'",
  );
  const named = new Map(rows.map(({ key, size }) => [key, Number(size)]));
  const problems: string[] = [];
  for (const file of objects.flatMap(filesBelow)) {
    if (basename(file) === STORE_MARKER) continue;
    const key = [...named.keys()].find((each) => file.endsWith(`/${each}`));
    if (key === undefined) problems.push(`nothing names the object ${file}`);
    else if (statSync(file).size !== named.get(key)) problems.push(`${file} has ${statSync(file).size} bytes`);
    if (key !== undefined) named.delete(key);
  }
  problems.push(...[...named.keys()].map((key) => `there is no object ${key}`));
  problems.push(...unfinished.flatMap(filesBelow).map((file) => `${file} was left unfinished`));
  const uploads = await query<{ digest: string }>(databaseUrl, "SELECT digest FROM uploads");
  return [...problems, ...uploads.map(({ digest }) => `an upload of ${digest} was left`)];
}

function filesBelow(folder: string): string[] {
  try {
    return readdirSync(folder, { recursive: true, withFileTypes: true })
      .filter((entry) => entry.isFile())
      .map((entry) => join(entry.parentPath, entry.name));
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return [];
    throw error;
  }
}

async function query<T extends object>(url: string, text: string): Promise<T[]> {
  const client = new pg.Client({ connectionString: url });
  await client.connect();
  try {
    return (await client.query<T>(text)).rows;
  } finally {
    await client.end();
  }
}
