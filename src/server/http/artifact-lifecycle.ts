import { z } from "zod";
import { BerthError } from "../../protocol/errors.ts";
import { PAGE_LIMIT_MAX, PageQuery, pageOf } from "../../protocol/resources.ts";
import { ExpiryRequest, ItemsChanged, PinRequest, ruleText, VersionRetention } from "../../protocol/retention.ts";
import { removeVersions } from "../scheduling/remove-versions.ts";
import type { Services } from "../services.ts";
import { type ArtifactItem, listItems } from "../store/artifacts.ts";
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
  /** Does something with the items that are there, or says why there are none. */
  const change = async (
    project: string,
    params: Params,
    item: string | undefined,
    act: (ids: readonly number[]) => Promise<number>,
  ) => {
    const version = await find(project, params, item);
    const items = await act(await itemIds(database.pool, version));
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
      summary: "Keep a version, or one item of it, until it is unpinned",
      tag: "artifacts",
      schemas: { params: ArtifactParams, query: OneItem, body: PinRequest, response: ItemsChanged },
      errors: ["not_found", "gone"],
      handler: async ({ params, query: { item }, body, principal, project }) =>
        change(project, params, item, (ids) =>
          pinVersions(database.pool, ids, { by: nameOf(principal), reason: body.reason ?? null }),
        ),
    }),
    defineRoute({
      method: "DELETE",
      path: `${PATH}/pin`,
      access: { kind: "role", role: "developer" },
      summary: "Leave a version to the rules again",
      tag: "artifacts",
      schemas: { params: ArtifactParams, query: OneItem, response: ItemsChanged },
      errors: ["not_found"],
      handler: async ({ params, query: { item }, project }) => ({
        items: await unpinVersions(database.pool, await itemIds(database.pool, await find(project, params, item))),
      }),
    }),
    defineRoute({
      method: "PUT",
      path: `${PATH}/expiry`,
      access: { kind: "role", role: "developer" },
      summary: "Give a version a time of its own to go at, in place of every rule; null takes it back",
      tag: "artifacts",
      schemas: { params: ArtifactParams, query: OneItem, body: ExpiryRequest, response: ItemsChanged },
      errors: ["not_found", "gone"],
      handler: async ({ params, query: { item }, body: { until }, principal, project }) =>
        change(project, params, item, (ids) =>
          database.transaction((client) => setKeptUntil(client, ids, { by: nameOf(principal), until })),
        ),
    }),
    defineRoute({
      method: "DELETE",
      path: PATH,
      access: { kind: "role", role: "developer" },
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
        const { pipeline, step, name } = params;
        const items = await removeVersions(database, {
          ...version,
          name: `${pipeline}/${step}/${name}/${version.version}`,
          by: nameOf(principal),
          force: force === "true",
        });
        if (items === 0) await explainNothing(version);
        return { items };
      },
    }),
  ];
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
