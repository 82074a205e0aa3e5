import type { FastifyRequest } from "fastify";
import { BerthError } from "../../protocol/errors.ts";
import { idOf } from "../../protocol/ids.ts";
import {
  parseSignature,
  SIGNATURE_MAX_AGE_SECONDS,
  UNSIGNED_PAYLOAD,
  verifySignature,
} from "../../protocol/signature.ts";
import type { Services } from "../services.ts";
import { REGISTER_AGAIN, staleBoot } from "../store/boots.ts";
import { findWorkerIdentity } from "../store/workers.ts";
import type { Caller } from "./authenticate.ts";
import type { Route } from "./route.ts";

const BootId = idOf("boot");
const CONTENT_DIGEST = /^sha-256=:[A-Za-z0-9+/]{43}=:$/;

/**
 * Proof of possession: see protocol/signature.ts. The signature covers the digest of the body, so it is complete
 * before the body arrives; request-body.ts compares the body with the digest.
 */
export async function authenticateAgent(
  request: FastifyRequest,
  route: Route,
  boot: "current" | "new",
  services: Services,
): Promise<Caller> {
  const bootId = header(request, "berth-boot");
  const contentDigest = header(request, "content-digest");
  const parsed = parseSignature(header(request, "signature-input"), header(request, "signature"));
  if (parsed === null || !BootId.safeParse(bootId).success) throw unsigned();
  checkDigestForm(contentDigest, route);

  const worker = await findWorkerIdentity(services.database.pool, parsed.workerId);
  if (worker === null) throw removed();
  request.serverTime = Math.floor(worker.serverTime);
  const signed = {
    method: request.method,
    target: request.raw.url ?? "",
    contentDigest,
    bootId,
    created: parsed.created,
    workerId: parsed.workerId,
  };
  if (!verifySignature(signed, parsed.signature, worker.publicKey)) {
    throw notProven("The signature was not made with the key of this worker.");
  }
  if (Math.abs(worker.serverTime - parsed.created) > SIGNATURE_MAX_AGE_SECONDS) {
    throw new BerthError("signature_expired", "The signature is too old, or of the future.", {
      advice: "Sign with the time in berth-server-time of this answer.",
    });
  }
  if (boot === "current" && worker.bootId !== bootId) throw staleBoot();
  return {
    principal: { kind: "worker", workerId: parsed.workerId, name: worker.name, project: worker.project, bootId },
    project: worker.project,
  };
}

/**
 * Only a blob may come with a body that the signature does not cover: its path pins it by its digest, or by an upload
 * that was begun, signed, for a digest.
 */
function checkDigestForm(contentDigest: string, route: Route): void {
  if (CONTENT_DIGEST.test(contentDigest)) return;
  const pinned = route.rawBody !== undefined && /\/:(digest|upload)$/.test(route.path);
  if (contentDigest === UNSIGNED_PAYLOAD && pinned) return;
  throw notProven("The content-digest is not `sha-256=:…:` of the body.");
}

function header(request: FastifyRequest, name: string): string {
  const value = request.headers[name];
  if (typeof value === "string" && value !== "") return value;
  throw unsigned();
}

function unsigned(): BerthError {
  return notProven("This request is not signed by a worker.");
}

function notProven(message: string): BerthError {
  return new BerthError("unauthenticated", message, {
    advice: "Agents sign each request with the key of their worker, which `berth agent register` makes.",
  });
}

function removed(): BerthError {
  return new BerthError("unauthenticated", "No such worker is registered; it was removed.", {
    advice: REGISTER_AGAIN,
  });
}
