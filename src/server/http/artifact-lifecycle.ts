import { z } from "zod";
import type { AuditAction, AuditFacts } from "../../protocol/audit.ts";
import { BerthError } from "../../protocol/errors.ts";
import { PAGE_LIMIT_MAX, PageQuery, pageOf } from "../../protocol/resources.ts";
import { ExpiryRequest, ItemsChanged, PinRequest, ruleText, VersionRetention } from "../../protocol/retention.ts";
import { removeVersions } from "../scheduling/remove-versions.ts";
import type { Services } from "../services.ts";
import { type ArtifactItem, listItems } from "../store/artifacts.ts";
import { recordAudit } from "../store/audit.ts";
import type { Queryable } from "../store/database.ts";
import { judgeVersions } from "../store/expiry.ts";
import { runsNeeding } from "../store/needed-versions.ts";
import { itemIds, pinVersions, setKeptUntil, unpinVersions } from "../store/version-marks.ts";
import { ArtifactParams, ItemCursor, nothingOf, versionOf } from "./artifact-reference.ts";
import { nameOf } from "./callers.ts";
import { requireContent } from "./gone-version.ts";
import { decodeCursor, encodeCursor, nextPage } from "./paging.ts";
import { defineRoute, type Principal, ROLES, type Route } from "./route.ts";

const OneItem = z.object({ item: z.string().max(600).optional() });
const RUNS_NAMED = 5;
const PATH = "/artifacts/:pipeline/:step/:name/:version";

type Params = z.infer<typeof ArtifactParams>;

/** How long a version stays: what holds, and what is said of it alone. */
export function artifactLifecycleRoutes({ database }: Pick<Services, "database">): Route[] {
  const find = async (project: string, params: Params, item: string | undefined) => ({
    ...(await versionOf(database.pool, project, params)),
    item: item ?? null,
  });
  /** Does something with the items that are there, and writes it down. */
  const change = (
    project: string,
    params: Params,
    version: Awaited<ReturnType<typeof find>>,
    { action, details = {}, act }: Change,
  ): Promise<number> =>
    database.transaction(async (client) => {
      const items = await act(client, await itemIds(client, version));
      const { item } = version;
      const audited = {
        project,
        action,
        subject: nameOfVersion(params, version),
        details: { ...details, item, items },
      };
      if (items > 0) await recordAudit(client, audited);
      return items;
    });
  /** The same, where there has to be something. */
  const changeOrExplain = async (project: string, params: Params, item: string | undefined, what: Change) => {
    const version = await find(project, params, item);
    const items = await change(project, params, version, what);
    if (items === 0) await explainNothing(version);
    return { items };
  };
  const explainNothing = async (version: Awaited<ReturnType<typeof find>>) => {
    const [first] = await listItems(database.pool, version, { item: version.item ?? undefined, after: null, limit: 1 });
    if (first !== undefined) return requireContent(first);
    throw nothingOf(version.item);
  };
  return [
    defineRoute({
      method: "GET",
      path: `${PATH}/retention`,
      access: { kind: "role", role: "viewer" },
      summary: "Which rule holds for a version, when it goes, and what keeps it",
      tag: "artifacts",
      schemas: {
        params: ArtifactParams,
        query: PageQuery.extend({ item: z.string().max(600).optional() }),
        response: pageOf(VersionRetention),
      },
      errors: ["not_found"],
      handler: async ({ params, query: { item, cursor, limit }, project }) => {
        const after = cursor === undefined ? null : decodeCursor(ItemCursor, cursor);
        const version = await versionOf(database.pool, project, params);
        const items = await listItems(database.pool, version, {
          item,
          after,
          limit: Math.min(limit, PAGE_LIMIT_MAX) + 1,
        });
        const page = nextPage(items, limit, ({ place }) => encodeCursor(place));
        return { ...page, items: await retentionOf(database, page.items) };
      },
    }),
    defineRoute({
      method: "PUT",
      path: `${PATH}/pin`,
      access: { kind: "role", role: "developer" },
      audit: "artifact.pin",
      summary: "Keep a version, or one item of it, until it is unpinned",
      tag: "artifacts",
      schemas: { params: ArtifactParams, query: OneItem, body: PinRequest, response: ItemsChanged },
      errors: ["not_found", "gone"],
      handler: async ({ params, query: { item }, body: { reason = null }, principal, project }) =>
        changeOrExplain(project, params, item, {
          action: "artifact.pin",
          details: { reason },
          act: (client, ids) => pinVersions(client, ids, { by: nameOf(principal), reason }),
        }),
    }),
    defineRoute({
      method: "DELETE",
      path: `${PATH}/pin`,
      access: { kind: "role", role: "developer" },
      audit: "artifact.unpin",
      summary: "Leave a version to the rules again",
      tag: "artifacts",
      schemas: { params: ArtifactParams, query: OneItem, response: ItemsChanged },
      errors: ["not_found"],
      handler: async ({ params, query: { item }, project }) => ({
        items: await change(project, params, await find(project, params, item), {
          action: "artifact.unpin",
          act: unpinVersions,
        }),
      }),
    }),
    defineRoute({
      method: "PUT",
      path: `${PATH}/expiry`,
      access: { kind: "role", role: "developer" },
      audit: "artifact.expire",
      summary: "Give a version a time of its own to go at, in place of every rule; null takes it back",
      tag: "artifacts",
      schemas: { params: ArtifactParams, query: OneItem, body: ExpiryRequest, response: ItemsChanged },
      errors: ["not_found", "gone"],
      handler: async ({ params, query: { item }, body: { until }, principal, project }) =>
        changeOrExplain(project, params, item, {
          action: "artifact.expire",
          details: { until },
          act: (client, ids) => setKeptUntil(client, ids, { by: nameOf(principal), until }),
        }),
    }),
    defineRoute({
      method: "DELETE",
      path: PATH,
      access: { kind: "role", role: "developer" },
      audit: "artifact.remove",
      summary:
        "Remove the content of a version, or of one item, now; `force` also what is pinned, and needs an operator",
      tag: "artifacts",
      schemas: {
        params: ArtifactParams,
        query: OneItem.extend({ force: z.enum(["true", "false"]).default("false") }),
        response: ItemsChanged,
      },
      errors: ["not_found", "gone", "conflict", "forbidden"],
      handler: async ({ params, query: { item, force }, principal, project }) => {
        if (force === "true") requireOperator(principal);
        const version = await find(project, params, item);
        const items = await removeVersions(database, {
          ...version,
          project,
          name: nameOfVersion(params, version),
          by: nameOf(principal),
          force: force === "true",
        });
        if (items === 0) await explainNothing(version);
        return { items };
      },
    }),
  ];
}

interface Change {
  readonly action: AuditAction;
  readonly details?: AuditFacts["details"];
  /** Returns how many items it changed. */
  act(client: Queryable, ids: readonly number[]): Promise<number>;
}

function nameOfVersion({ pipeline, step, name }: Params, { version }: { readonly version: number }): string {
  return `${pipeline}/${step}/${name}/${version}`;
}

function requireOperator(principal: Principal): void {
  if (principal.kind === "token" && ROLES.indexOf(principal.role) <= ROLES.indexOf("operator")) return;
  throw new BerthError("forbidden", "To remove what is pinned, or may be restarted from, needs the role operator.", {
    advice: "Unpin it, or leave out the force.",
  });
}

async function retentionOf(
  { pool }: Services["database"],
  items: readonly ArtifactItem[],
): Promise<VersionRetention[]> {
  const ids = items.map(({ id }) => id);
  const verdicts = new Map((await judgeVersions(pool, ids)).map((verdict) => [verdict.id, verdict]));
  const needing = await runsNeeding(pool, ids, RUNS_NAMED);
  return items.map(({ id, item, pinned, expired }) => {
    const { scope, subject, keepMs, last, endsAt, isNewest } = verdicts.get(id)!;
    const isKept = expired === null;
    return {
      ...{ item, pinned, expired },
      rule: { scope, subject, keepMs, last, text: ruleText({ scope, subject, keepMs, last }) },
      endsAt: endsAt?.toISOString() ?? null,
      isNewest: isKept && isNewest,
      neededBy: isKept ? (needing.get(id) ?? []).map(({ run, live }) => ({ run, live })) : [],
    };
  });
}
