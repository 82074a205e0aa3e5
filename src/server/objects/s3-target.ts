import type { S3Client } from "@aws-sdk/client-s3";
import type { S3Timeouts } from "./s3-client.ts";
import { s3Error } from "./s3-errors.ts";
import type { S3Location } from "./s3-location.ts";

/** What every operation on a bucket works with. */
export interface S3Target {
  readonly client: S3Client;
  readonly location: S3Location;
  readonly timeouts: S3Timeouts;
  /** The variable that names the store, for errors. */
  readonly setting: string;
}

/** Bucket and full key, as every command takes them. */
export function nameOf({ location }: S3Target, key: string): { readonly Bucket: string; readonly Key: string } {
  return { Bucket: location.bucket, Key: location.prefix + key };
}

/** Does `work`; what it throws becomes an error that says which store could not do what. */
export async function attempting<T>(target: S3Target, attempted: string, work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    throw s3Error(error, target.location, target.setting, attempted);
  }
}

/** For a request whose answer is read whole: an end for all attempts at it together. */
export function deadline({ timeouts }: S3Target, attemptMs = timeouts.answerMs) {
  return { requestTimeout: attemptMs, abortSignal: AbortSignal.timeout(attemptMs * 2) };
}
