import { AuditCheckpoint, AuditEvent, AuditHead } from "../../protocol/audit.ts";
import { pageOf } from "../../protocol/resources.ts";
import type { ApiClient } from "./client.ts";

const AuditPage = pageOf(AuditEvent);
const PAGE_LIMIT = 500;

export interface AuditFilter {
  readonly scope: "project" | "installation";
  readonly order: "newest" | "oldest";
  readonly actor?: string | undefined;
  readonly action?: string | undefined;
  readonly subject?: string | undefined;
  readonly since?: string | undefined;
  readonly until?: string | undefined;
}

/** Events one by one, read page by page as they are asked for: a log has no end worth waiting for. */
export async function* auditEvents(api: ApiClient, filter: AuditFilter): AsyncGenerator<AuditEvent> {
  let cursor: string | undefined;
  do {
    const page = await api.get("/audit", AuditPage, { query: { ...filter, limit: PAGE_LIMIT, cursor } });
    yield* page.items;
    cursor = page.next ?? undefined;
  } while (cursor !== undefined);
}

export function getAuditHead(api: ApiClient, scope: AuditFilter["scope"]): Promise<AuditHead> {
  return api.get("/audit/head", AuditHead, { query: { scope } });
}

export function getAuditCheckpoint(api: ApiClient, scope: AuditFilter["scope"]): Promise<AuditCheckpoint> {
  return api.get("/audit/checkpoint", AuditCheckpoint, { query: { scope } });
}
