import { resolve } from "node:path";
import { BerthError } from "../../protocol/errors.ts";
import type { ObjectStore } from "./object-store.ts";
import { parseS3Location, type S3Location } from "./s3-location.ts";

/** Where an object store is: a folder, or a bucket. */
export interface StoreLocation {
  /** The variable that says so, for errors. */
  readonly setting: string;
  readonly kind: FolderLocation | (S3Location & { readonly type: "s3" });
}

interface FolderLocation {
  readonly type: "folder";
  readonly folder: string;
}

/** `/a/folder` or `s3://bucket/prefix?endpoint=…`. */
export function parseStoreLocation(text: string, setting: string): StoreLocation {
  if (/^s3:/i.test(text)) return { setting, kind: { type: "s3", ...parseS3Location(text, setting) } };
  if (/^[A-Za-z][A-Za-z0-9+.-]+:\/\//.test(text)) {
    throw new BerthError(
      "invalid_request",
      `${setting}=${text.split("://")[0]}://… is no kind of store that there is.`,
      {
        advice: "It is a folder, or s3://bucket/prefix?endpoint=… for S3 and all that speaks its protocol.",
      },
    );
  }
  return { setting, kind: { type: "folder", folder: resolve(text) } };
}

/** Whether both are one store, however it is reached. */
export function isSameStore({ kind: a }: StoreLocation, { kind: b }: StoreLocation): boolean {
  if (a.type === "folder") return b.type === "folder" && a.folder === b.folder;
  return b.type === "s3" && a.bucket === b.bucket && a.prefix === b.prefix && a.endpoint === b.endpoint;
}

/** The SDK of S3 is loaded where it is used: it takes a fifth of a second and 35 MB. */
export async function openStore({ kind, setting }: StoreLocation): Promise<ObjectStore & Partial<Disposable>> {
  if (kind.type === "s3") return (await import("./s3-store.ts")).openS3Store(kind, { setting });
  return (await import("./folder-store.ts")).openFolderStore(kind.folder);
}
