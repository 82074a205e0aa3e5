import { z } from "zod";
import { hasPlainKeys, isShallow, JSON_DEPTH_MAX } from "./json-value.ts";

/** What is said of an artifact version beside its bytes: by the pipeline file, by the step that made it, by people. */

export const TAGS_MAX = 50;
/** Like a name, but also as other systems write theirs: `team`, `ml.stage`, `acme.org/owner`. */
export const TAG_KEY_PATTERN = /^[A-Za-z0-9][A-Za-z0-9._/-]{0,62}$/;
export const TAG_KEY_RULE = "starts with a letter or digit and holds at most 63 letters, digits, '.', '_', '-' or '/'";
export const TAG_VALUE_MAX_CHARS = 256;
export const SCHEMA_MAX_BYTES = 32 * 1024;

/** `type/subtype`, with parameters; nothing in it can end a header. */
export const MEDIA_TYPE_PATTERN =
  /^[a-z0-9][a-z0-9!#$&^_.+-]{0,99}\/[a-z0-9][a-z0-9!#$&^_.+-]{0,99}(; ?[a-z0-9-]{1,30}=[a-z0-9_.-]{1,60})?$/i;
export const MEDIA_TYPE_RULE = "is not a content type such as text/csv or application/x-model";

export const TagKey = z.string().regex(TAG_KEY_PATTERN, TAG_KEY_RULE);

/** Numbers and booleans are written as people write them: `year: 2026` is `"2026"`. */
export const TagValue = z
  .union([z.string(), z.number(), z.boolean()])
  .transform(String)
  .pipe(
    z
      .string()
      .max(TAG_VALUE_MAX_CHARS, `holds at most ${TAG_VALUE_MAX_CHARS} characters`)
      .regex(/^\P{Cc}*$/u, "holds no control characters"),
  );

export const Tags = z
  .record(TagKey, TagValue)
  .refine((tags) => Object.keys(tags).length <= TAGS_MAX, `there are at most ${TAGS_MAX} tags`);
export type Tags = z.infer<typeof Tags>;

export const MediaType = z.string().regex(MEDIA_TYPE_PATTERN, MEDIA_TYPE_RULE);

/** How the bytes are written, in a word: `parquet`, `onnx`, `safetensors`. */
export const Format = z
  .string()
  .regex(/^[A-Za-z0-9][A-Za-z0-9._+-]{0,62}$/, "is one word of at most 63 letters, digits, '.', '_', '+' or '-'");

/** The shape of the content, in whatever words its makers use: columns and types, a JSON Schema, a tensor's shape. */
export const ContentSchema = z
  .unknown()
  .refine((schema) => typeof schema === "object" && schema !== null, {
    message: "is a JSON object or array",
    abort: true,
  })
  .refine((schema) => isShallow(schema), { message: `is nested at most ${JSON_DEPTH_MAX} deep`, abort: true })
  .refine((schema) => hasPlainKeys(schema), {
    message: "has no key __proto__, none with NUL or half a character, and no constructor with a prototype",
    abort: true,
  })
  .refine((schema) => Buffer.byteLength(JSON.stringify(schema)) <= SCHEMA_MAX_BYTES, {
    message: `takes at most ${SCHEMA_MAX_BYTES} bytes as JSON`,
  });
export type ContentSchema = z.infer<typeof ContentSchema>;

/** Of one output, as its commit carries them. The content type is part of the content. */
export const OutputNotes = z.object({
  tags: Tags.optional(),
  schema: ContentSchema.optional(),
  format: Format.optional(),
});
export type OutputNotes = z.infer<typeof OutputNotes>;
