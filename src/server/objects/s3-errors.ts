import { BerthError, type ErrorCode } from "../../protocol/errors.ts";
import type { S3Location } from "./s3-location.ts";

/** What the SDK throws, as far as anything is known of it. */
interface S3Error extends Error {
  readonly Code?: string;
  readonly code?: string;
  readonly $metadata?: { readonly httpStatusCode?: number };
  readonly Region?: string;
}

/** Which store it is, for people: `bucket b at https://…`. */
export function placeOf({ bucket, prefix, endpoint }: S3Location): string {
  return `bucket ${bucket}${prefix === "" ? "" : ` (prefix ${prefix})`} at ${endpoint ?? "AWS"}`;
}

export function statusOf(error: unknown): number | undefined {
  return (error as S3Error | null)?.$metadata?.httpStatusCode;
}

/** The word of the store for what is wrong, such as NoSuchKey. */
export function s3Code(error: unknown): string {
  const { Code, name } = error as S3Error;
  return Code ?? name;
}

interface Verdict {
  readonly code: ErrorCode;
  readonly why: string;
  readonly advice: string;
}

/** An error of the catalogue for what a store answered, or did not: which store, what was attempted, what to do. */
export function s3Error(error: unknown, location: S3Location, setting: string, attempted: string): BerthError {
  if (error instanceof BerthError) return error;
  const { code, why, advice } = judge(error as S3Error, location, setting);
  return new BerthError(code, `The data store cannot ${attempted}: ${placeOf(location)} ${why}.`, {
    advice,
    cause: error,
  });
}

function judge(error: S3Error, location: S3Location, setting: string): Verdict {
  return ofCode(error, location, setting) ?? ofStatus(error, setting) ?? ofConnection(error, location, setting);
}

const CREDENTIALS =
  "Check AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY (or the profile, or the role) of the server, and whose they are.";

function ofCode(error: S3Error, { bucket, region }: S3Location, setting: string): Verdict | null {
  const says = `answers ${s3Code(error)}${error.message === "UnknownError" ? "" : ` (${error.message.slice(0, 300)})`}`;
  switch (s3Code(error)) {
    case "NoSuchBucket":
      return misconfigured("does not exist", `Create the bucket ${bucket}, or set ${setting} to one that exists.`);
    case "CredentialsProviderError":
    case "CredentialsError":
      return misconfigured("needs credentials, and there are none", CREDENTIALS);
    case "InvalidAccessKeyId":
    case "SignatureDoesNotMatch":
    case "InvalidToken":
    case "ExpiredToken":
    case "TokenRefreshRequired":
      return misconfigured(says, CREDENTIALS);
    case "AccessDenied":
    case "Forbidden":
    case "AllAccessDisabled":
      return misconfigured(
        says,
        `Give these credentials the rights on the bucket that docs/data-store.md lists (s3:ListBucket among them). ${CREDENTIALS}`,
      );
    case "PermanentRedirect":
    case "TemporaryRedirect":
    case "AuthorizationHeaderMalformed":
    case "IllegalLocationConstraintException":
      return misconfigured(
        says,
        `The bucket is in another region than ${region ?? "that of AWS_REGION"}: set region=… in ${setting}.`,
      );
    case "RequestTimeTooSkewed":
      return misconfigured(says, "Set the clock of the server: it differs from the store's by more than 15 minutes.");
    case "QuotaExceeded":
    case "InsufficientStorage":
    case "XMinioStorageFull":
      return { code: "storage_full", why: says, advice: "Free space in the store, or raise its quota." };
    case "BadDigest":
    case "InvalidDigest":
      return { code: "unavailable", why: `received other bytes than were sent`, advice: "Try again." };
    default:
      return null;
  }
}

function ofStatus(error: S3Error, setting: string): Verdict | null {
  const status = statusOf(error);
  if (status === undefined) return null;
  const says = `answers ${status} ${s3Code(error)}`.trimEnd();
  if (status === 507) {
    return { code: "storage_full", why: says, advice: "Free space in the store, or raise its quota." };
  }
  if (status === 429 || status >= 500) return { code: "unavailable", why: says, advice: "Try again in a moment." };
  if (status === 401 || status === 403) return misconfigured(says, CREDENTIALS);
  if (status >= 300) {
    return misconfigured(says, `Check ${setting}: endpoint, region and path-style, and that S3 is spoken there.`);
  }
  // Of 2xx, what cannot be read.
  return { code: "unavailable", why: `gave an answer that is not S3's`, advice: `Try again; else check ${setting}.` };
}

function ofConnection(error: S3Error, { endpoint }: S3Location, setting: string): Verdict {
  const where = `${setting}${endpoint === null ? "" : ` (endpoint ${endpoint})`}`;
  if (/Region is missing/.test(error.message)) {
    return misconfigured("is in no known region", `Set region=… in ${setting}, or AWS_REGION.`);
  }
  if (error.name === "TimeoutError" || error.name === "AbortError") {
    return unavailable("does not answer in time", `Check that it runs and can be reached, and ${where}.`);
  }
  return unavailable(
    `cannot be reached (${error.code ?? error.message})`,
    `Check that it runs and can be reached, and ${where}.`,
  );
}

function misconfigured(why: string, advice: string): Verdict {
  return { code: "store_misconfigured", why, advice };
}

function unavailable(why: string, advice: string): Verdict {
  return { code: "unavailable", why, advice };
}
