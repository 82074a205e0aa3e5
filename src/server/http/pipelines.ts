import { z } from "zod";
import { compilePipeline } from "../../pipeline/compile.ts";
import { BerthError } from "../../protocol/errors.ts";
import { Name } from "../../protocol/names.ts";
import {
  PageQuery,
  PipelineSummary,
  PipelineVersion,
  PipelineVersionSummary,
  pageOf,
  ValidateRequest,
  ValidateResponse,
} from "../../protocol/resources.ts";
import type { Services } from "../services.ts";
import { findVersion, listPipelines, listVersions } from "../store/pipelines.ts";
import { nextPage } from "./paging.ts";
import { defineRoute, ONLY_ASKS, type Route } from "./route.ts";

/** How many of the newest runs are to be told of each pipeline. */
const Recent = z.coerce.number().int().min(0).max(100).default(0);
const NameParams = z.object({ name: Name });

export function pipelineRoutes({ database }: Services): Route[] {
  return [
    defineRoute({
      method: "POST",
      path: "/pipelines/validate",
      access: { kind: "role", role: "viewer" },
      audit: ONLY_ASKS,
      summary: "Check a pipeline file, and see the plan that it compiles to",
      tag: "pipelines",
      schemas: { body: ValidateRequest, response: ValidateResponse },
      handler: async ({ body: { text, fileName } }) => compilePipeline(text, { fileName: fileName ?? "pipeline.yaml" }),
    }),
    defineRoute({
      method: "GET",
      path: "/pipelines",
      access: { kind: "role", role: "viewer" },
      summary: "List pipelines by name",
      tag: "pipelines",
      schemas: { query: PageQuery.extend({ recent: Recent }), response: pageOf(PipelineSummary) },
      handler: async ({ query: { cursor, limit, recent }, project }) => {
        const page = { name: null, after: cursor ?? null, limit: limit + 1, recent };
        return nextPage(await listPipelines(database.pool, project, page), limit, ({ name }) => name);
      },
    }),
    defineRoute({
      method: "GET",
      path: "/pipelines/:name",
      access: { kind: "role", role: "viewer" },
      summary: "Show a pipeline",
      tag: "pipelines",
      schemas: { params: NameParams, query: z.object({ recent: Recent }), response: PipelineSummary },
      handler: async ({ params: { name }, query: { recent }, project }) => {
        const found = await listPipelines(database.pool, project, { name, after: null, limit: 1, recent });
        return found[0] ?? notThere(name);
      },
    }),
    defineRoute({
      method: "GET",
      path: "/pipelines/:name/versions",
      access: { kind: "role", role: "viewer" },
      summary: "List a pipeline's versions, newest first",
      tag: "pipelines",
      schemas: {
        params: NameParams,
        query: PageQuery.extend({ cursor: z.coerce.number().int().optional() }),
        response: pageOf(PipelineVersionSummary),
      },
      handler: async ({ params: { name }, query: { cursor, limit }, project }) => {
        const page = { before: cursor ?? null, limit: limit + 1 };
        const versions = await listVersions(database.pool, project, name, page);
        if (versions.length === 0 && cursor === undefined) notThere(name);
        return nextPage(versions, limit, ({ version }) => String(version));
      },
    }),
    defineRoute({
      method: "GET",
      path: "/pipelines/:name/versions/:version",
      access: { kind: "role", role: "viewer" },
      summary: "Show a version: its text and its plan",
      tag: "pipelines",
      schemas: { params: NameParams.extend({ version: VersionParam }), response: PipelineVersion },
      handler: async ({ params: { name, version }, project }) =>
        (await findVersion(database.pool, project, name, version)) ?? notThere(name),
    }),
  ];
}

/** A number, or `latest`, which is null here. */
const VersionParam = z.union([z.literal("latest").transform(() => null), z.coerce.number().int().min(1)]);

function notThere(name: string): never {
  throw new BerthError("not_found", `There is no such pipeline or version of ${name}.`);
}
