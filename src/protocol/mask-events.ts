import type { ProducedOutput } from "./artifacts.ts";
import type { AgentEventBody } from "./events.ts";
import { EVIDENCE_MAX_CHARS, type Fault, MESSAGE_MAX_CHARS } from "./faults.ts";
import type { MessagesRequest } from "./messages.ts";

/**
 * Secret values are taken out of what is said of a run wherever it is text that a step, an engine or a build may have had a
 * hand in: by the agent before it is written down or sent, and by the server before it is stored. Names, digests and states
 * are left alone: without them nothing fits together any more.
 */

/** Text with what stands for a secret in its place; where the text was cut off, with what may be left of one there. */
export type MaskText = (text: string, cut?: { readonly atStart?: boolean; readonly atEnd?: boolean }) => string;

export function maskFault(why: Fault, mask: MaskText): Fault {
  const { message, evidence } = why;
  return {
    ...why,
    message: mask(message, { atEnd: message.length >= MESSAGE_MAX_CHARS }),
    advice: mask(why.advice),
    ...(evidence === undefined ? {} : { evidence: mask(evidence, { atStart: evidence.length >= EVIDENCE_MAX_CHARS }) }),
  };
}

/** What a content type is replaced by that holds a secret. */
const ANY_CONTENT_TYPE = "application/octet-stream";

/** What is a word of fixed form, and would not be one any more, is left out instead. */
export function maskOutput<T extends Omit<ProducedOutput, "name" | "inline">>(output: T, mask: MaskText): T {
  const { content, tags, schema, format, ...rest } = output;
  const isMasked = (text: string) => mask(text) !== text;
  const { contentType } = content;
  const keptTags = Object.entries(tags ?? {}).filter(([key]) => !isMasked(key));
  return {
    ...rest,
    content: isMasked(contentType) ? { ...content, contentType: ANY_CONTENT_TYPE } : content,
    ...(tags === undefined ? {} : { tags: Object.fromEntries(keptTags.map(([key, value]) => [key, mask(value)])) }),
    ...(schema === undefined ? {} : { schema: maskJson(schema, mask) }),
    ...(format === undefined || isMasked(format) ? {} : { format }),
  } as T;
}

export function maskEvent(body: AgentEventBody, mask: MaskText): AgentEventBody {
  switch (body.type) {
    case "attempt.started":
      return body.runEnd?.fault
        ? { ...body, runEnd: { ...body.runEnd, fault: maskFault(body.runEnd.fault, mask) } }
        : body;
    case "attempt.finished":
      return {
        ...body,
        fault: body.fault === null ? null : maskFault(body.fault, mask),
        warnings: body.warnings.map((warning) => mask(warning)),
        outputs: body.outputs.map((output) => maskOutput(output, mask)),
      };
    case "step.finished":
    case "run.finished":
      return body.fault === null ? body : { ...body, fault: maskFault(body.fault, mask) };
    case "run.started":
    case "image.ready":
    case "step.expanded":
    case "step.cached":
      return body;
  }
}

type Messages = Pick<MessagesRequest, "progress" | "metrics">;

export function maskMessages<T extends Messages>(said: T, mask: MaskText): T {
  const { progress, metrics } = said;
  return {
    ...said,
    progress: progress.map((one) => (one.message === null ? one : { ...one, message: mask(one.message) })),
    metrics: metrics.map((metric) => ({ ...metric, name: mask(metric.name) })),
  };
}

/** All text in a value of JSON, keys too. */
export function maskJson(value: unknown, mask: MaskText): unknown {
  if (typeof value === "string") return mask(value);
  if (Array.isArray(value)) return value.map((item) => maskJson(item, mask));
  if (typeof value !== "object" || value === null) return value;
  return Object.fromEntries(Object.entries(value).map(([key, item]) => [mask(key), maskJson(item, mask)]));
}
