import { Agent as HttpAgent } from "node:http";
import { Agent as HttpsAgent } from "node:https";
import { S3Client } from "@aws-sdk/client-s3";
import type { S3Location } from "./s3-location.ts";

export interface S3Timeouts {
  readonly connectMs: number;
  /** Until the answer to a request without a body begins; also how long bytes that are read may stall. */
  readonly answerMs: number;
  /** For sending one part, and the answer to it. */
  readonly sendMs: number;
  /** For making an object of its parts, which a store may have to copy. */
  readonly completeMs: number;
}

export const S3_TIMEOUTS: S3Timeouts = {
  connectMs: 5_000,
  answerMs: 20_000,
  // 8 MiB at 1 Mbit/s.
  sendMs: 120_000,
  completeMs: 600_000,
};

/** Of one server; agents that transfer directly are not among them. */
const CONNECTIONS_MAX = 64;
/** The first included. Parts are in memory, so each request can be sent again. */
const ATTEMPTS = 3;

/** Credentials come from the SDK's default chain: variables, ~/.aws, the roles of containers and machines. */
export function createS3Client(location: S3Location, timeouts: S3Timeouts, endpoint = location.endpoint): S3Client {
  const agent = { keepAlive: true, maxSockets: CONNECTIONS_MAX };
  // Most stores that are not AWS do not care, but requests have to be signed for some region.
  const region = location.region ?? (endpoint === null ? null : "us-east-1");
  const client = new S3Client({
    ...(endpoint === null ? {} : { endpoint }),
    ...(region === null ? {} : { region }),
    ...(location.profile === null ? {} : { profile: location.profile }),
    forcePathStyle: location.pathStyle,
    maxAttempts: ATTEMPTS,
    // Else the SDK prints a warning where one store has a profile and another the keys of the environment.
    logger: { debug: () => {}, info: () => {}, warn: () => {}, error: () => {} },
    // The checksums that the SDK adds by default are stored as part of the object by some servers.
    requestChecksumCalculation: "WHEN_REQUIRED",
    responseChecksumValidation: "WHEN_REQUIRED",
    expectContinueHeader: false,
    requestHandler: {
      httpAgent: new HttpAgent(agent),
      httpsAgent: new HttpsAgent(agent),
      connectionTimeout: timeouts.connectMs,
      requestTimeout: timeouts.answerMs,
      throwOnRequestTimeout: true,
      // It would also end reads whose reader is slow; watchedStream knows the difference.
      socketTimeout: 0,
    },
  });
  // Bodies carry their MD5 in a signed header; hashing them for the signature as well would cost as much again.
  client.middlewareStack.add(
    (next) => async (args) => {
      const { headers } = args.request as { headers?: Record<string, string> };
      if (headers?.["content-md5"] !== undefined) headers["x-amz-content-sha256"] = "UNSIGNED-PAYLOAD";
      return next(args);
    },
    { step: "build", name: "berthUnsignedPayload" },
  );
  return client;
}
