import { setImmediate } from "node:timers/promises";
import type { MaskText } from "../protocol/mask-events.ts";
import { type OutputNotes, TAGS_MAX, type Tags } from "../protocol/output-notes.ts";
import type { OutputPlan } from "../protocol/plan.ts";
import {
  MESSAGE_LINE_MAX_BYTES,
  MESSAGES_FILE_MAX_BYTES,
  METRICS_MAX,
  parseStepMessage,
  type StepMessage,
} from "../protocol/step-message.ts";
import { MessageLines, type MessagesStop } from "./message-lines.ts";

/** What is known of one output: by the pipeline file, and by the step, whose words win. */
export interface StepNotes extends OutputNotes {
  readonly contentType?: string;
}

export interface Said {
  /** By output; only such as are declared, and of which there is something to say. */
  readonly notes: Readonly<Record<string, StepNotes>>;
  /** One sentence per kind of line that could not be used. */
  readonly warnings: readonly string[];
}

/** Kinds are few, but for the names that a step makes up. */
const WARNINGS_MAX = 20;
/** Of all outputs together: it travels in one event with the end of the attempt. */
const NOTES_MAX_BYTES = 1024 * 1024;

/**
 * Reads, after a step has ended, all that it said: for what it said of its outputs, and for what was wrong with it.
 * Progress and metrics are shipped while it runs, by whoever follows it.
 */
export async function readNotes(
  folder: string,
  declared: Readonly<Record<string, OutputPlan>>,
  mask: MaskText,
): Promise<Said> {
  const lines = new MessageLines(folder, mask);
  const reader = new NotesReader(declared);
  let isFirst = true;
  for (let chunk = lines.next({ ended: true }); chunk !== null; chunk = lines.next({ ended: true })) {
    if (!isFirst) await setImmediate();
    isFirst = false;
    for (const { number, text } of chunk) reader.take(number, text);
  }
  return { notes: reader.notes, warnings: reader.warnings(lines.stop) };
}

interface Problem {
  readonly why: string;
  readonly isUsed: boolean;
  readonly line: number;
  count: number;
}

class NotesReader {
  readonly #declared: Readonly<Record<string, OutputPlan>>;
  readonly #notes: Map<string, StepNotes>;
  readonly #problems = new Map<string, Problem>();
  #metrics = 0;
  /** Of all notes. */
  #bytes = 0;

  constructor(declared: Readonly<Record<string, OutputPlan>>) {
    this.#declared = declared;
    const notes = Object.entries(declared).map(([name, plan]) => [name, declaredNotes(plan)] as const);
    this.#notes = new Map(notes.filter(([, said]) => Object.keys(said).length > 0));
  }

  get notes(): Said["notes"] {
    return Object.fromEntries(this.#notes);
  }

  take(line: number, text: string | null): void {
    if (text === null) {
      this.#note("long", line, `it is longer than ${MESSAGE_LINE_MAX_BYTES / 1024} KiB`);
      return;
    }
    // An empty line says nothing, and an `echo` too many is no mistake worth a warning.
    if (text.trim() === "") return;
    const { message, problem } = parseStepMessage(text);
    if (problem !== undefined) this.#note(problem.kind, line, problem.why, message !== null);
    if (message?.type === "output") this.#takeNotes(line, message);
    if (message?.type === "metric" && ++this.#metrics > METRICS_MAX) {
      this.#note("metrics", line, `of one attempt the first ${METRICS_MAX} metrics are kept`);
    }
  }

  warnings(stop: MessagesStop | null): string[] {
    const told = [...this.#problems.values()].map(({ why, isUsed, line, count }) => {
      const more = count === 1 ? "" : `, and so ${count === 2 ? "was" : "were"} ${count - 1} more`;
      return `Line ${line} of the step's messages: ${why}. It was ${isUsed ? "used without it" : "ignored"}${more}.`;
    });
    return [...told, ...(stop === null ? [] : [STOPPED[stop]])];
  }

  #takeNotes(line: number, { name, ...said }: Extract<StepMessage, { type: "output" }>): void {
    if (!Object.hasOwn(this.#declared, name)) {
      this.#note("output", line, `the step has no output "${name}"`);
      return;
    }
    const before = this.#notes.get(name) ?? {};
    const tags: Tags = { ...before.tags, ...said.tags };
    const notes = {
      ...before,
      ...(said.contentType == null ? {} : { contentType: said.contentType }),
      ...(Object.keys(tags).length === 0 ? {} : { tags }),
      ...(said.schema == null ? {} : { schema: said.schema }),
      ...(said.format == null ? {} : { format: said.format }),
    };
    const bytes = this.#bytes + sizeOf(notes) - sizeOf(before);
    if (Object.keys(tags).length > TAGS_MAX) {
      this.#note("tags", line, `output "${name}" would have more than ${TAGS_MAX} tags`);
    } else if (bytes > NOTES_MAX_BYTES) {
      this.#note("notes", line, `what is said of all outputs may take ${NOTES_MAX_BYTES / 1024} KiB`);
    } else {
      this.#bytes = bytes;
      this.#notes.set(name, notes);
    }
  }

  #note(kind: string, line: number, why: string, isUsed = false): void {
    const known = this.#problems.get(kind);
    if (known !== undefined) known.count += 1;
    else if (this.#problems.size < WARNINGS_MAX) this.#problems.set(kind, { why, isUsed, line, count: 1 });
  }
}

function sizeOf(notes: StepNotes): number {
  return Buffer.byteLength(JSON.stringify(notes));
}

function declaredNotes({ contentType, tags }: OutputPlan): StepNotes {
  return { ...(contentType === undefined ? {} : { contentType }), ...(tags === undefined ? {} : { tags }) };
}

const STOPPED: Readonly<Record<MessagesStop, string>> = {
  "no plain file": "The step's messages were ignored: $BERTH_MESSAGES has to be a plain file.",
  shortened:
    "The rest of the step's messages was ignored: the file became shorter. Append to $BERTH_MESSAGES (>>), never replace it.",
  "too large": `The step's messages beyond ${MESSAGES_FILE_MAX_BYTES / 1024 / 1024} MiB were ignored.`,
};
