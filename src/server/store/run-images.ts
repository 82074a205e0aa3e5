import type { FixedImage } from "../../protocol/events.ts";
import type { Queryable } from "./database.ts";

/** What the environments of a run stand for, by name. */
export type RunImages = Readonly<Record<string, FixedImage>>;

export async function imagesOfRun(db: Queryable, run: string): Promise<RunImages> {
  const { rows } = await db.query<{ images: RunImages | null }>("SELECT images FROM runs WHERE id = $1", [run]);
  return rows[0]?.images ?? {};
}

/**
 * From here on the run uses these images, on whichever worker. A worker reports another one than was fixed only where it
 * had to build one anew, and what it goes on with is then that.
 */
export async function fixImages(client: Queryable, run: string, images: RunImages): Promise<void> {
  if (Object.keys(images).length === 0) return;
  await client.query("UPDATE runs SET images = COALESCE(images, '{}') || $2::jsonb WHERE id = $1", [
    run,
    JSON.stringify(images),
  ]);
}
