import { z } from "zod";
import { Digest } from "./names.ts";
import { PageQuery } from "./resources.ts";

/** What is written down about changes: who did what to what, when and from where. Never a secret's value or a token. */

/** Every action that is written down. The first word is what it is done to. */
export const AUDIT_ACTIONS = [
  "access.denied",
  "access.refused",
  "artifact.expire",
  "artifact.pin",
  "artifact.remove",
  "artifact.tag",
  "artifact.unpin",
  "cache.forget",
  "login.deny",
  "login.end",
  "login.succeed",
  "pipeline.version",
  "provenance.issue",
  "quota.remove",
  "quota.set",
  "registration-token.create",
  "registration-token.revoke",
  "registry.remove",
  "registry.set",
  "retention.remove",
  "retention.set",
  "run.cancel",
  "run.restart",
  "run.submit",
  "schedule.apply",
  "schedule.pause",
  "schedule.remove",
  "schedule.resume",
  "schedule.run",
  "secret.access",
  "secret.allow",
  "secret.rekey",
  "secret.remove",
  "secret.rotate",
  "secret.set",
  "session.begin",
  "store.collect",
  "token.create",
  "token.revoke",
  "trigger.call",
  "trigger.change",
  "trigger.create",
  "trigger.pause",
  "trigger.remove",
  "trigger.resume",
  "trigger.rotate",
  "variable.remove",
  "variable.set",
  "worker.drain",
  "worker.register",
  "worker.remove",
  "worker.undrain",
] as const;
export const AuditAction = z.enum(AUDIT_ACTIONS);
export type AuditAction = z.infer<typeof AuditAction>;

export const AuditActor = z.strictObject({
  /** `system` is Berth itself, such as a schedule; `anonymous` is somebody whom nothing proved. */
  kind: z.enum(["token", "person", "worker", "registration", "trigger", "system", "anonymous"]),
  /** Of the token, worker or trigger; of a person, what the identity provider calls them. */
  id: z.string().nullable(),
  name: z.string(),
});
export type AuditActor = z.infer<typeof AuditActor>;

/** What is hashed of an event beside its place in the chain. */
export const AuditFacts = z.strictObject({
  action: AuditAction,
  actor: AuditActor,
  /** Where the request came from; null where none did. */
  address: z.string().nullable(),
  details: z.record(z.string(), z.json()),
  /** Id of the request, as in the server's log; null where there was none. */
  request: z.string().nullable(),
  /** What it was done to: a name, or an id where there is no name. */
  subject: z.string(),
});
export type AuditFacts = z.infer<typeof AuditFacts>;

export const AuditEvent = z.strictObject({
  /** Id of the project, or `installation`. */
  chain: z.string(),
  /** From 1, with no gap. */
  sequence: z.int().min(1),
  at: z.iso.datetime(),
  /** Hash of the event before it; zeros before the first. */
  previous: Digest,
  /** SHA-256: see audit-chain.ts. */
  hash: Digest,
  /**
   * As the database has it; a reader of a newer server may not know its action, and a row that somebody changed is to be
   * shown to who checks the chain.
   */
  event: z.looseObject({}),
});
export type AuditEvent = z.infer<typeof AuditEvent>;

/** Whose chain: the project's, or with `installation` that of the whole of it, for its administrators alone. */
export const AuditScope = z.enum(["project", "installation"]).default("project");

/** `GET /audit` */
export const AuditQuery = PageQuery.extend({
  scope: AuditScope,
  /** Newest first, or in the order of the chain. */
  order: z.enum(["newest", "oldest"]).default("newest"),
  /** Name or id. */
  actor: z.string().max(200).optional(),
  /** An action, or what actions begin with, such as `secret`. */
  action: z
    .string()
    .regex(/^[a-z-]+(\.[a-z-]+)?$/, "must be like `secret` or `secret.set`")
    .optional(),
  subject: z.string().max(1_000).optional(),
  since: z.iso.datetime().optional(),
  until: z.iso.datetime().optional(),
});

/** The newest event of a chain, for somebody else to keep: what was removed from the end is found by it. */
export const AuditHead = z.strictObject({
  chain: z.string(),
  /** 0 where there is no event yet; the hash then is zeros. */
  sequence: z.int().min(0),
  hash: Digest,
  /** The server's time at which this was said. */
  at: z.iso.datetime(),
});
export type AuditHead = z.infer<typeof AuditHead>;

/** A head in a DSSE envelope, signed with the provenance key of the installation. */
export const AuditCheckpoint = z.strictObject({
  payloadType: z.literal("application/vnd.berth.audit-head+json"),
  payload: z.base64(),
  signatures: z.array(z.strictObject({ keyid: Digest, sig: z.base64() })).max(10),
});
export type AuditCheckpoint = z.infer<typeof AuditCheckpoint>;
