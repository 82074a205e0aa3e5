import { z } from "zod";

/** What cases/*.json hold: see README.md. */

export interface Content {
  readonly text?: string | undefined;
  readonly base64?: string | undefined;
  readonly json?: unknown;
  readonly files?: Readonly<Record<string, Content>> | undefined;
  /** In expectations only. */
  readonly textHas?: readonly string[] | undefined;
}
const Content: z.ZodType<Content> = z.lazy(() =>
  z.strictObject({
    text: z.string().optional(),
    base64: z.string().optional(),
    json: z.unknown().optional(),
    files: z.record(z.string(), Content).optional(),
    textHas: z.array(z.string()).optional(),
  }),
);

const Type = z.string();

export const ContractCase = z.strictObject({
  title: z.string().min(10),
  behaviour: z.string(),
  module: z.string().optional(),
  needs: z.array(z.string()).optional(),
  languages: z.array(z.enum(["python", "typescript"])).optional(),
  inputs: z.array(z.strictObject({ name: z.string(), type: Type, content: Content.optional() })).default([]),
  outputs: z
    .array(
      z.strictObject({
        name: z.string(),
        type: Type,
        path: z.string().optional(),
        optional: z.boolean().default(false),
      }),
    )
    .default([]),
  values: z.record(z.string(), z.json()).default({}),
  env: z.record(z.string(), z.string()).default({}),
  secrets: z.record(z.string(), Content).default({}),
  expect: z.strictObject({
    exit: z.int(),
    outputs: z.record(z.string(), Content.nullable()).default({}),
    error: z
      .strictObject({
        type: z.enum(["business", "application"]),
        message: z.string().optional(),
        messageHas: z.array(z.string()).optional(),
      })
      .optional(),
    messages: z.array(z.record(z.string(), z.json())).default([]),
    /** In place of `messages` where their number depends on time: how many there may be, and the last one. */
    messagesUpTo: z.strictObject({ count: z.int(), last: z.record(z.string(), z.json()) }).optional(),
    described: z.record(z.string(), z.record(z.string(), z.json())).default({}),
    logs: z
      .array(
        z.strictObject({
          level: z.enum(["debug", "info", "warning", "error"]),
          message: z.string().optional(),
          messageHas: z.array(z.string()).optional(),
          fields: z.record(z.string(), z.json()).optional(),
        }),
      )
      .default([]),
    stdout: z.string().optional(),
    stderrHas: z.array(z.string()).default([]),
    stderrLacks: z.array(z.string()).default([]),
  }),
});
export type ContractCase = z.infer<typeof ContractCase>;
