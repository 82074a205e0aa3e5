import type { z } from "zod";
import type { AuditAction, AuditActor, AuditEvent, AuditFacts, AuditQuery } from "../../protocol/audit.ts";
import { type Link, NO_HASH } from "../../protocol/audit-chain.ts";
import { canonicalJson } from "../../protocol/canonical-json.ts";
import { requestScope } from "../request-scope.ts";
import type { Queryable } from "./database.ts";
import { jsonParameter } from "./json-parameter.ts";

/** The chain of what belongs to no project. */
export const INSTALLATION = "installation";

export interface AuditRecord {
  /** Id of the project that was changed; null for the installation. */
  readonly project: string | null;
  readonly action: AuditAction;
  /** What it was done to: a name, or an id where there is no name. */
  readonly subject: string;
  /** What else is worth knowing of it. Never a secret, a token, or what a user may have put one into. */
  readonly details?: AuditFacts["details"];
  /** Who acts where no request does, such as a schedule; of a request it is its caller, whatever is said here. */
  readonly actor?: AuditActor;
}

const SYSTEM: AuditActor = { kind: "system", id: null, name: "berth" };

/** Who acts where Berth does so by itself, under a name such as `schedule wine/nightly`. */
export function systemActor(name: string): AuditActor {
  return { kind: "system", id: null, name };
}

/**
 * Writes down a change, within its transaction: with it or not at all. It gets its place in the chain as the transaction
 * commits, so that it may be called at any point of it, and holds up nobody meanwhile.
 */
export async function recordAudit(client: Queryable, record: AuditRecord): Promise<void> {
  const scope = requestScope();
  const facts: AuditFacts = {
    action: record.action,
    actor: scope?.actor ?? record.actor ?? SYSTEM,
    address: scope?.address ?? null,
    details: record.details ?? {},
    request: scope?.request ?? null,
    subject: record.subject,
  };
  await client.query({
    name: "record-audit",
    text: "INSERT INTO audit_incoming (chain, event) VALUES ($1, $2)",
    values: [record.project ?? INSTALLATION, canonicalJson(JSON.parse(jsonParameter(facts)))],
  });
}

type Filter = Pick<z.infer<typeof AuditQuery>, "order" | "actor" | "action" | "subject" | "since" | "until">;

export interface AuditPage extends Filter {
  readonly chain: string;
  /** Sequence of the last event of the page before. */
  readonly after: number | null;
  readonly limit: number;
}

/** Events of one chain, with their hashes as they are stored. */
export async function listAudit(db: Queryable, page: AuditPage): Promise<AuditEvent[]> {
  const { chain, order, after, limit } = page;
  const [beyond, direction] = order === "newest" ? ["<", "DESC"] : [">", "ASC"];
  const { rows } = await db.query<Omit<AuditEvent, "at"> & { at: Date }>(
    `SELECT chain, sequence, at, encode(previous, 'hex') AS previous, encode(hash, 'hex') AS hash, event
     FROM audit_events
     WHERE chain = $1 AND ($2::bigint IS NULL OR sequence ${beyond} $2)
       AND ($3::text IS NULL OR actor_name = $3 OR actor_id = $3)
       AND ($4::text IS NULL OR action = $4 OR action LIKE $4 || '.%')
       AND ($5::text IS NULL OR subject = $5)
       AND ($6::timestamptz IS NULL OR at >= $6) AND ($7::timestamptz IS NULL OR at < $7)
     ORDER BY sequence ${direction} LIMIT $8`,
    [
      ...[chain, after, page.actor ?? null, page.action ?? null, page.subject ?? null],
      ...[page.since ?? null, page.until ?? null, limit],
    ],
  );
  return rows.map(({ at, ...row }) => ({ ...row, at: at.toISOString() }));
}

/** What the chain should end with. */
export async function auditHead(db: Queryable, chain: string): Promise<Link & { readonly at: string }> {
  const { rows } = await db.query<Link & { at: Date }>(
    `SELECT COALESCE(c.sequence, 0) AS sequence, COALESCE(encode(c.hash, 'hex'), '${NO_HASH}') AS hash, now() AS at
     FROM (VALUES ($1::text)) AS asked (chain) LEFT JOIN audit_chains c USING (chain)`,
    [chain],
  );
  const { at, ...head } = rows[0]!;
  return { ...head, at: at.toISOString() };
}
