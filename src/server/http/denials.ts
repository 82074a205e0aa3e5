import type { FastifyRequest } from "fastify";
import type { AuditActor } from "../../protocol/audit.ts";
import { BerthError } from "../../protocol/errors.ts";
import { withinRequest } from "../request-scope.ts";
import type { Services } from "../services.ts";
import { recordAudit } from "../store/audit.ts";

/** The same denial is written down once in this time; the next one says how many there were meanwhile. */
const INTERVAL_MS = 10 * 60_000;
/** Of all denials: a flood from many addresses is not to fill the database. */
const PER_INTERVAL_MAX = 500;
const ANONYMOUS: AuditActor = { kind: "anonymous", id: null, name: "anonymous" };

interface Seen {
  readonly atMs: number;
  /** Denials since then that were not written down. */
  count: number;
}

/**
 * Writes refused requests into the audit log, within bounds. Each server counts for itself. What keeps it from being
 * written down is logged; the request is refused all the same.
 */
export class Denials {
  readonly #services: Pick<Services, "database" | "log">;
  readonly #seen = new Map<string, Seen>();

  constructor(services: Pick<Services, "database" | "log">) {
    this.#services = services;
  }

  /** Somebody who is known asked for what they may not. */
  async denied(request: FastifyRequest, error: unknown, actor: AuditActor, project: string): Promise<void> {
    if (!(error instanceof BerthError && error.code === "forbidden")) return;
    await this.#note(request, { action: "access.denied", actor, project, key: `${actor.id} ${placeOf(request)}` });
  }

  /** Nobody who is known, or with a token that is good for nothing. */
  async refused(request: FastifyRequest, error: unknown): Promise<void> {
    if (!(error instanceof BerthError && error.code === "unauthenticated")) return;
    await this.#note(request, { action: "access.refused", actor: ANONYMOUS, project: null, key: request.ip });
  }

  async #note(
    request: FastifyRequest,
    {
      key,
      actor,
      ...record
    }: {
      readonly key: string;
      readonly actor: AuditActor;
      readonly action: "access.denied" | "access.refused";
      readonly project: string | null;
    },
  ): Promise<void> {
    const now = Date.now();
    const before = this.#seen.get(key);
    if (before !== undefined && now - before.atMs < INTERVAL_MS) {
      before.count++;
      return;
    }
    // In the order in which they were noted: the oldest first.
    for (const [known, { atMs }] of this.#seen) {
      if (now - atMs < INTERVAL_MS) break;
      this.#seen.delete(known);
    }
    if (this.#seen.size >= PER_INTERVAL_MAX) return;
    this.#seen.delete(key);
    this.#seen.set(key, { atMs: now, count: 0 });
    const { database, log } = this.#services;
    const scope = { actor, request: request.id, address: request.ip };
    const details = { notWrittenDown: before?.count ?? 0 };
    try {
      await withinRequest(scope, () => recordAudit(database.pool, { ...record, subject: placeOf(request), details }));
    } catch (error) {
      log.warn({ err: error, requestId: request.id }, "a refused request could not be written into the audit log");
    }
  }
}

/** The route and not the address: that may hold what was mistaken for something else, such as a token. */
function placeOf(request: FastifyRequest): string {
  return `${request.method} ${request.routeOptions.url ?? "-"}`;
}
