import { z } from "zod";
import { TAGS_MAX, TagKey, Tags } from "./output-notes.ts";

/** How people change the tags of artifact versions, and what is known of that. */

/** `POST /artifacts/:pipeline/:step/:name/:version/tags` */
export const TagArtifactRequest = z
  .strictObject({
    /** Added, or given another value. */
    set: Tags.default({}),
    remove: z.array(TagKey).max(TAGS_MAX).default([]),
  })
  .refine(({ set, remove }) => Object.keys(set).length + remove.length > 0, "sets and removes nothing")
  .refine(({ set, remove }) => !remove.some((key) => Object.hasOwn(set, key)), "sets and removes the same tag");
export type TagArtifactRequest = z.infer<typeof TagArtifactRequest>;
export const TaggedArtifact = z.object({
  /** Items of the version whose tags were looked at, and of how many of them something changed. */
  items: z.int(),
  changed: z.int(),
});
export type TaggedArtifact = z.infer<typeof TaggedArtifact>;

/** The newest change of one tag of one item. */
export const TagChange = z.object({
  item: z.string(),
  key: z.string(),
  /** Null where it was removed. */
  value: z.string().nullable(),
  /** Who did it; null is the step that made the version, or its pipeline file. */
  by: z.string().nullable(),
  at: z.iso.datetime(),
});
export type TagChange = z.infer<typeof TagChange>;
