import { spawnSync } from "node:child_process";
import { type Dirent, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { queryEmbedded } from "../setup/embedded-database.ts";

/** Where a value may have come to lie, and the bytes that are there. */
export interface Place {
  readonly name: string;
  readonly bytes: Buffer;
}

/** Every file below a folder as one place, but for a folder in it; what vanishes while it is looked at is not there. */
export function folderPlace(name: string, folder: string, except?: string): Place {
  return { name, bytes: Buffer.concat(filesBelow(folder, except)) };
}

function filesBelow(folder: string, except?: string): Buffer[] {
  return entriesOf(folder).flatMap((entry) => {
    if (entry.name === except) return [];
    const path = join(folder, entry.name);
    // A name tells as much as what is in it.
    const name = Buffer.from(`\n${entry.name}\n`);
    if (entry.isDirectory()) return [name, ...filesBelow(path)];
    try {
      return entry.isFile() ? [name, readFileSync(path)] : [name];
    } catch {
      return [name];
    }
  });
}

function entriesOf(folder: string): Dirent[] {
  try {
    return readdirSync(folder, { withFileTypes: true });
  } catch {
    return [];
  }
}

/** All rows of all tables, as a dump would have them. */
export async function databasePlace(home: string): Promise<Place> {
  const tables = await queryEmbedded<{ name: string }>(
    home,
    "SELECT tablename AS name FROM pg_tables WHERE schemaname = 'public' ORDER BY 1",
  );
  const texts: string[] = [];
  for (const { name } of tables) {
    const rows = await queryEmbedded<{ row: string }>(home, `SELECT to_jsonb(t)::text AS row FROM "${name}" t`);
    texts.push(name, ...rows.map(({ row }) => row));
    // Blobs are bytes, which a row shows as hexadecimal digits.
    for (const { row } of rows) texts.push(...bytesIn(row));
  }
  return { name: "database, every row", bytes: Buffer.from(texts.join("\n")) };
}

function bytesIn(row: string): string[] {
  return [...row.matchAll(/\\\\x([0-9a-f]{16,})/g)].map(([, hex]) => Buffer.from(hex!, "hex").toString("latin1"));
}

/** What the engine says of these containers, and what it keeps of them on its disk. */
export function enginePlaces(containers: readonly string[]): Place[] {
  const inspected = containers.map((id) => docker("inspect", id)).join("\n");
  const ids = [...inspected.matchAll(/"Id": "([0-9a-f]{64})"/g)].map(([, id]) => id!);
  const kept = ids.map((id) => folderPlace(id, join("/var/lib/docker/containers", id)).bytes);
  const changed = containers.map((id) => docker("diff", id)).join("\n");
  return [
    { name: "engine: inspect and diff of containers", bytes: Buffer.from(inspected + changed) },
    { name: "engine: its folder of containers", bytes: Buffer.concat(kept) },
  ];
}

export function imagesPlace(images: readonly string[]): Place {
  const texts = images.flatMap((image) => [docker("image", "inspect", image), docker("history", "--no-trunc", image)]);
  return { name: "engine: inspect and history of images", bytes: Buffer.from(texts.join("\n")) };
}

function docker(...args: string[]): string {
  return spawnSync("docker", args, { encoding: "utf8", maxBuffer: 64 * 1024 * 1024 }).stdout;
}
