import { randomBytes } from "node:crypto";
import { Readable } from "node:stream";
import { text } from "node:stream/consumers";
import { z } from "zod";
import { BerthError } from "../../protocol/errors.ts";
import type { ObjectStore } from "./object-store.ts";

/** An object in each store that says whose it is; it moves with the store, and tells an empty place from a store. */
const MARKER_KEY = "berth-store.json";
const Marker = z.object({ id: z.string().regex(/^[0-9a-z]{8}$/), installation: z.string() });
export type Marker = z.infer<typeof Marker>;

export async function readMarker(store: ObjectStore): Promise<Marker | null> {
  const object = await store.open(MARKER_KEY);
  if (object === null) return null;
  const content = await text(object.stream);
  try {
    return Marker.parse(JSON.parse(content));
  } catch (error) {
    throw new BerthError("store_misconfigured", `${MARKER_KEY} in ${store.place} is not what Berth wrote there.`, {
      advice: "Restore that object from a backup, or use another folder or prefix.",
      cause: error,
    });
  }
}

/** Only while nobody else of this installation does the same. */
export async function writeMarker(store: ObjectStore, installation: string): Promise<Marker> {
  const marker: Marker = {
    id: BigInt(`0x${randomBytes(5).toString("hex")}`)
      .toString(32)
      .padStart(8, "0"),
    installation,
  };
  await store.put(MARKER_KEY, Readable.from([Buffer.from(`${JSON.stringify(marker)}\n`)]));
  return marker;
}
