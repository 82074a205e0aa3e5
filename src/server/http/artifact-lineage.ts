import { z } from "zod";
import {
  LINEAGE_DEPTH_DEFAULT,
  LINEAGE_DEPTH_MAX,
  LINEAGE_MEMBERS_MAX,
  LINEAGE_NAMED_MAX,
  Lineage,
  LineageDirection,
} from "../../protocol/lineage.ts";
import { lineageGraph } from "../lineage/lineage-graph.ts";
import { traceLineage } from "../lineage/trace.ts";
import type { Services } from "../services.ts";
import { type ArtifactItem, listItems } from "../store/artifacts.ts";
import { type MemberVersion, runsById, takersOf } from "../store/lineage.ts";
import { ArtifactParams, nothingOf, versionOf } from "./artifact-reference.ts";
import { defineRoute, type Route } from "./route.ts";

export function artifactLineageRoute({ database }: Services): Route {
  return defineRoute({
    method: "GET",
    path: "/artifacts/:pipeline/:step/:name/:version/lineage",
    access: { kind: "role", role: "viewer" },
    summary: "What a version of an artifact was made from, and what was made from it, as a graph",
    tag: "artifacts",
    schemas: {
      params: ArtifactParams,
      query: z.object({
        direction: LineageDirection.default("both"),
        /** Steps that are followed one after another. */
        depth: z.coerce.number().int().min(1).max(LINEAGE_DEPTH_MAX).default(LINEAGE_DEPTH_DEFAULT),
        /** Of a batch or matrix, this item alone. */
        item: z.string().max(600).optional(),
      }),
      response: Lineage,
    },
    handler: async ({ params, query: { direction, depth, item }, project }) => {
      const { pool } = database;
      const version = await versionOf(pool, project, params);
      // Half of the room: each item has a step run that made it.
      const limit = LINEAGE_MEMBERS_MAX / 2;
      const items = await listItems(pool, version, { item, after: null, limit: limit + 1 });
      if (items.length === 0) throw nothingOf(item);
      const roots = items.slice(0, limit).map((root) => memberOf(params, root));
      const trace = await traceLineage(pool, { project, roots, direction, depth });
      const runIds = new Set([...trace.versions.values(), ...trace.stepRuns].map(({ run }) => run));
      const steps = new Map(trace.stepRuns.map(({ run, step }) => [`${run} ${step}`, { run, step }]));
      const [runs, takers] = await Promise.all([
        runsById(pool, project, [...runIds]),
        takersOf(pool, [...steps.values()], LINEAGE_NAMED_MAX),
      ]);
      const graph = lineageGraph({ trace, roots, runs, takers, direction, depth });
      if (items.length <= limit) return graph;
      const cut = (["up", "down"] as const)
        .filter((way) => direction === "both" || way === direction)
        .map((way) => ({ limit: "members" as const, max: LINEAGE_MEMBERS_MAX, direction: way }));
      return { ...graph, truncated: [...graph.truncated.filter((one) => one.limit !== "members"), ...cut] };
    },
  });
}

function memberOf({ pipeline, step, name }: Pick<MemberVersion, "pipeline" | "step" | "name">, item: ArtifactItem) {
  const { id, version, run, stepRun, kind, digest, size } = item;
  const isExpired = item.expired !== null;
  return { id, pipeline, step, name, version, item: item.item, run: run.id, stepRun, kind, digest, size, isExpired };
}
