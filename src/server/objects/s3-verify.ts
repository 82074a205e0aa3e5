import { createHash } from "node:crypto";
import { DeleteObjectCommand, PutObjectCommand } from "@aws-sdk/client-s3";
import { BerthError } from "../../protocol/errors.ts";
import type { ObjectStat, OpenObject } from "./object-store.ts";
import { s3Code, s3Error, statusOf } from "./s3-errors.ts";
import { attempting, deadline, nameOf, type S3Target } from "./s3-target.ts";
import { md5Of, type Uploaded } from "./s3-upload.ts";

/**
 * Whether the store refuses a body that is not what its Content-MD5 says, which is asked with a wrong one. Where it does
 * not, what was stored has to be read again to be sure of it.
 */
export async function checkedBodies(target: S3Target, key: string): Promise<boolean> {
  const name = nameOf(target, key);
  const body = Buffer.from("Berth asks whether bodies are checked.");
  const command = new PutObjectCommand({ ...name, Body: body, ContentMD5: md5Of(Buffer.from("another")) });
  return await attempting(target, "write", async () => {
    try {
      await target.client.send(command, deadline(target));
    } catch (error) {
      if (statusOf(error) === 400 && /Digest/.test(s3Code(error))) return true;
      throw error;
    }
    await target.client.send(new DeleteObjectCommand(name), deadline(target));
    return false;
  });
}

interface Reading {
  readonly stat: (target: S3Target, key: string) => Promise<ObjectStat | null>;
  readonly open: (target: S3Target, key: string) => Promise<OpenObject | null>;
  readonly remove: (target: S3Target, key: string) => Promise<void>;
  readonly readBack: boolean;
}

/** That the object which an upload made is as long as what was sent and, with `readBack`, that it has its bytes. */
export async function checkUploaded(
  target: S3Target,
  key: string,
  uploaded: Uploaded,
  { stat, open, remove, readBack }: Reading,
): Promise<void> {
  const found = await stat(target, key);
  const wrong =
    found?.size !== uploaded.size
      ? `holds ${found === null ? "nothing" : `${found.size} bytes`} after ${uploaded.size} bytes were stored`
      : readBack && !(await holds(await open(target, key), uploaded))
        ? "holds other bytes than were stored"
        : null;
  if (wrong === null) return;
  await remove(target, key).catch(() => {});
  throw new BerthError("unavailable", `The data store cannot store an object: ${target.location.bucket} ${wrong}.`, {
    advice: `Try again; if this repeats, do not use this store (${target.setting}): it damages what it is given.`,
    cause: s3Error(new Error(wrong), target.location, target.setting, "store an object"),
  });
}

async function holds(object: OpenObject | null, { parts }: Uploaded): Promise<boolean> {
  if (object === null) return false;
  let hash = createHash("md5");
  let [index, left] = [0, parts[0]?.size ?? 0];
  for await (const chunk of object.stream as AsyncIterable<Uint8Array>) {
    for (let rest = chunk; rest.length > 0; ) {
      const taken = rest.subarray(0, left);
      hash.update(taken);
      left -= taken.length;
      rest = rest.subarray(taken.length);
      if (left > 0) continue;
      if (hash.digest("base64") !== parts[index]?.md5) return false;
      hash = createHash("md5");
      index += 1;
      left = parts[index]?.size ?? 0;
      if (left === 0 && rest.length > 0) return false;
    }
  }
  return index === parts.length || (parts.length === 1 && parts[0]!.size === 0);
}
