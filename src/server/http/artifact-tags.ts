import { z } from "zod";
import { TagArtifactRequest, TagChange, TaggedArtifact } from "../../protocol/artifact-tags.ts";
import { PageQuery, pageOf } from "../../protocol/resources.ts";
import type { Services } from "../services.ts";
import { changeTags, listTagChanges } from "../store/artifact-tags.ts";
import type { TagFilter } from "../store/artifacts.ts";
import { recordAudit } from "../store/audit.ts";
import { ArtifactParams, versionOf } from "./artifact-reference.ts";
import { nameOf } from "./callers.ts";
import { decodeCursor, encodeCursor, nextPage } from "./paging.ts";
import { defineRoute, type Route } from "./route.ts";

const ITEM = z.string().max(600).optional();

/** `tag=team=ml`, or `tag=team` for any value; given several times, all of them have to be there. */
export const TagQuery = z
  .union([z.string(), z.array(z.string())])
  .optional()
  .transform((given) => (given === undefined ? [] : [given].flat()))
  .pipe(z.array(z.string().max(400)).max(10))
  .transform((tags): TagFilter[] =>
    tags.map((text) => {
      const equals = text.indexOf("=");
      return equals < 0 ? { key: text, value: null } : { key: text.slice(0, equals), value: text.slice(equals + 1) };
    }),
  );

export function artifactTagRoutes({ database }: Services): Route[] {
  return [
    defineRoute({
      method: "POST",
      path: "/artifacts/:pipeline/:step/:name/:version/tags",
      access: { kind: "role", role: "developer" },
      audit: "artifact.tag",
      summary: "Set and remove tags of a version: of all its items, or of one",
      tag: "artifacts",
      schemas: {
        params: ArtifactParams,
        query: z.strictObject({ item: ITEM }),
        body: TagArtifactRequest,
        response: TaggedArtifact,
      },
      errors: ["not_found", "conflict"],
      handler: async ({ params, query: { item }, body, project, principal }) => {
        const version = await versionOf(database.pool, project, params);
        const changes = { ...body, by: nameOf(principal) };
        const { pipeline, step, name } = params;
        const subject = `${pipeline}/${step}/${name}/${version.version}`;
        return database.transaction(async (client) => {
          const done = await changeTags(client, project, version, item, changes);
          const details = { item: item ?? null, set: Object.keys(body.set), remove: body.remove, ...done };
          await recordAudit(client, { project, action: "artifact.tag", subject, details });
          return done;
        });
      },
    }),
    defineRoute({
      method: "GET",
      path: "/artifacts/:pipeline/:step/:name/:version/tags",
      access: { kind: "role", role: "viewer" },
      summary: "List the tags of a version: by whom and when each was set, or removed",
      tag: "artifacts",
      schemas: { params: ArtifactParams, query: PageQuery.extend({ item: ITEM }), response: pageOf(TagChange) },
      handler: async ({ params, query: { item, cursor, limit }, project }) => {
        const version = await versionOf(database.pool, project, params);
        const after = cursor === undefined ? null : decodeCursor(TagCursor, cursor);
        const changes = await listTagChanges(database.pool, version, item, after, limit + 1);
        return nextPage(changes, limit, (change) => encodeCursor([change.item, change.key]));
      },
    }),
  ];
}

const TagCursor = z.tuple([z.string(), z.string()]);
