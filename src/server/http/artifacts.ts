import { z } from "zod";
import { ArtifactDetail, ArtifactVersion, PageQuery, pageOf } from "../../protocol/resources.ts";
import type { Services } from "../services.ts";
import { type ArtifactItem, lineageOf, listArtifactVersions, listItems } from "../store/artifacts.ts";
import { artifactContentRoute } from "./artifact-content.ts";
import { artifactFilesRoute } from "./artifact-files.ts";
import { artifactLifecycleRoutes } from "./artifact-lifecycle.ts";
import { artifactLineageRoute } from "./artifact-lineage.ts";
import { ArtifactParams, ItemCursor, versionOf } from "./artifact-reference.ts";
import { artifactTagRoutes, TagQuery } from "./artifact-tags.ts";
import { decodeCursor, encodeCursor, nextPage } from "./paging.ts";
import { defineRoute, type Route } from "./route.ts";
import { RunParams, runIdOf } from "./run-reference.ts";

const ListQuery = PageQuery.extend({
  cursor: z.coerce.number().int().optional(),
  step: z.string().optional(),
  name: z.string().optional(),
  /** `true`: also those whose content is gone. */
  all: z.stringbool().default(false),
  tag: TagQuery,
});

export function artifactRoutes(services: Services): Route[] {
  const { database } = services;
  return [
    defineRoute({
      method: "GET",
      path: "/artifacts",
      access: { kind: "role", role: "viewer" },
      summary: "List artifact versions, newest first",
      tag: "artifacts",
      schemas: {
        query: ListQuery.extend({ pipeline: z.string().optional(), run: z.string().optional() }),
        response: pageOf(ArtifactVersion),
      },
      handler: async ({ query: { cursor, limit, run, ...filter }, project }) => {
        const runId = run === undefined ? undefined : await runIdOf(database.pool, project, run);
        const page = { before: cursor ?? null, limit: limit + 1 };
        const versions = await listArtifactVersions(database.pool, project, {
          pipeline: filter.pipeline,
          step: filter.step,
          name: filter.name,
          run: runId,
          all: filter.all,
          tags: filter.tag,
          ...page,
        });
        return nextPage(versions, limit, ({ id }) => String(id));
      },
    }),
    defineRoute({
      method: "GET",
      path: "/runs/:run/artifacts",
      access: { kind: "role", role: "viewer" },
      summary: "List the artifact versions that a run made, newest first",
      tag: "runs",
      schemas: { params: RunParams, query: ListQuery, response: pageOf(ArtifactVersion) },
      handler: async ({ params, query: { cursor, limit, step, name, all, tag: tags }, project }) => {
        const run = await runIdOf(database.pool, project, params.run);
        const page = { before: cursor ?? null, limit: limit + 1 };
        const versions = await listArtifactVersions(database.pool, project, {
          ...{ run, step, name, all, tags, pipeline: undefined },
          ...page,
        });
        return nextPage(versions, limit, ({ id }) => String(id));
      },
    }),
    defineRoute({
      method: "GET",
      path: "/artifacts/:pipeline/:step/:name/:version",
      access: { kind: "role", role: "viewer" },
      summary: "Show a version of an artifact, with what went into it",
      tag: "artifacts",
      schemas: {
        params: ArtifactParams,
        query: PageQuery.extend({ item: z.string().max(600).optional() }),
        response: ArtifactDetail,
      },
      handler: async ({ params, query: { item, cursor, limit }, project }): Promise<ArtifactDetail> => {
        const found = await versionOf(database.pool, project, params);
        const after = cursor === undefined ? null : decodeCursor(ItemCursor, cursor);
        const items = await listItems(database.pool, found, { item, after, limit: limit + 1 });
        const page = nextPage(items, limit, ({ place }) => encodeCursor(place));
        return {
          ...{ pipeline: params.pipeline, step: params.step, name: params.name },
          ...{ version: found.version, complete: found.complete, next: page.next },
          items: await withLineage(services, page.items),
        };
      },
    }),
    artifactContentRoute(services),
    artifactFilesRoute(services),
    ...artifactLifecycleRoutes(services),
    ...artifactTagRoutes(services),
    artifactLineageRoute(services),
  ];
}

async function withLineage({ database }: Services, items: readonly ArtifactItem[]): Promise<ArtifactDetail["items"]> {
  if (items.length === 0) return [];
  const stepRuns = items.map(({ run, stepRun }) => ({ run: run.id, key: stepRun }));
  const lineage = await lineageOf(database.pool, stepRuns);
  return items.map((item) => ({ ...item, inputs: lineage.get(item.stepRun) ?? [] }));
}
