import { z } from "zod";
import { Name } from "./names.ts";
import { ContentSchema, Format, MediaType, Tags } from "./output-notes.ts";

/**
 * What a running step says of itself: lines of JSON that it appends to the file `$BERTH_MESSAGES`. The file is written
 * by untrusted code; whatever does not fit is left out, and told once per kind.
 */

export const MESSAGE_LINE_MAX_BYTES = 64 * 1024;
/** Metrics of one attempt that are kept: enough for a curve, too few to fill a database. */
export const METRICS_MAX = 10_000;
/** What is read of one attempt's file. */
export const MESSAGES_FILE_MAX_BYTES = 64 * 1024 * 1024;

const SHORT_TEXT_MAX_CHARS = 500;
const METRIC_NAME_MAX_CHARS = 200;

export const MetricName = z
  .string()
  .min(1)
  .max(METRIC_NAME_MAX_CHARS)
  .regex(/^\P{Cc}+$/u, "holds no control characters");

export const ProgressMessage = z
  .object({
    type: z.literal("progress"),
    done: z.number().nonnegative().nullish(),
    total: z.number().nonnegative().nullish(),
    message: z.string().max(SHORT_TEXT_MAX_CHARS).nullish(),
  })
  .refine(({ done, message }) => done != null || message != null, "needs done, or message");

export const MetricMessage = z.object({
  type: z.literal("metric"),
  name: MetricName,
  value: z.number(),
  step: z.number().nullish(),
});

export const OutputMessage = z.object({
  type: z.literal("output"),
  name: Name,
  contentType: MediaType.nullish(),
  tags: Tags.nullish(),
  schema: ContentSchema.nullish(),
  format: Format.nullish(),
});

export type StepMessage =
  | z.infer<typeof ProgressMessage>
  | z.infer<typeof MetricMessage>
  | z.infer<typeof OutputMessage>;

const BY_TYPE = { progress: ProgressMessage, metric: MetricMessage, output: OutputMessage } as const;

/** Names in warnings are the step's: no more of them is shown. */
const SHOWN_MAX_CHARS = 40;

/** `kind` tells apart what is told once each; `why` goes on after "line 7: ". */
export interface MessageProblem {
  readonly kind: string;
  readonly why: string;
}

export type ParsedMessage =
  | { readonly message: StepMessage; readonly problem?: MessageProblem }
  | { readonly message: null; readonly problem: MessageProblem };

/** Reads one line. A message with keys that nobody knows is taken without them, and that is a problem too. */
export function parseStepMessage(line: string): ParsedMessage {
  let json: unknown;
  try {
    json = JSON.parse(line);
  } catch {
    return ignored("json", "it is not JSON");
  }
  if (typeof json !== "object" || json === null || Array.isArray(json))
    return ignored("object", "it is not a JSON object");
  const { type } = json as { readonly type?: unknown };
  if (typeof type !== "string" || !Object.hasOwn(BY_TYPE, type)) {
    const known = Object.keys(BY_TYPE).join(", ");
    return ignored("type", `its type ${shown(type)} is none of ${known}`);
  }
  const schema = BY_TYPE[type as keyof typeof BY_TYPE];
  const what = `${type === "output" ? "an" : "a"} ${type} message`;
  const parsed = schema.safeParse(json);
  if (!parsed.success) {
    const [issue] = parsed.error.issues;
    const path = issue!.path.join(".");
    const why = issue!.message.replace(/^Invalid input: /, "");
    return ignored(`wrong ${type}`, path === "" ? `${what} ${why}` : `in ${what}, ${clip(path)}: ${why}`);
  }
  const unknown = Object.keys(json).find((key) => !Object.hasOwn(schema.shape, key));
  if (unknown === undefined) return { message: parsed.data };
  const why = `${what} has no key ${shown(unknown)}`;
  return { message: parsed.data, problem: { kind: `key of ${type}`, why } };
}

function ignored(kind: string, why: string): ParsedMessage {
  return { message: null, problem: { kind, why } };
}

function shown(value: unknown): string {
  if (value === undefined) return "(none)";
  // However deep it is nested: to write that out would take the stack.
  if (typeof value === "object" && value !== null) return Array.isArray(value) ? "(a list)" : "(an object)";
  return clip(JSON.stringify(value));
}

function clip(text: string): string {
  return text.length <= SHOWN_MAX_CHARS ? text : `${text.slice(0, SHOWN_MAX_CHARS)}…`;
}
