import { StringDecoder } from "node:string_decoder";
import { EVIDENCE_LINES, type FailedBuild, withoutCommand } from "../build-fault.ts";
import type { TraceItem } from "./trace.ts";

interface Work {
  /** Given when it is announced; null before, and of what nobody needs to know. */
  number: number | null;
  readonly name: string;
  readonly decoder: StringDecoder;
  /** What it moves, such as layers, by name. */
  readonly parts: Map<string, { readonly currentBytes: number; readonly totalBytes: number }>;
  shownAt: number;
  /** Of its output, the line that is not complete. */
  rest: string;
  lastLines: string[];
  isOver: boolean;
}

/** Often enough to see that it moves, seldom enough to be read. */
const SHOWN_EVERY_MS = 3_000;
const MIB = 1024 * 1024;
/** Takes no time and says nothing to anybody, unless it fails. */
const PREPARATION = /^\[internal\] load (build definition|\.dockerignore)/;

/**
 * The log of a build from what BuildKit tells: pieces of work go on side by side, so each has a number that stands before
 * its lines, and is announced once, when it begins.
 */
export class BuildProgress {
  readonly #works = new Map<string, Work>();
  readonly #told = new Set<string>();
  readonly #now: () => number;
  #announced = 0;
  failed: FailedBuild | null = null;

  constructor(now: () => number = () => performance.now()) {
    this.#now = now;
  }

  /** The lines that an item adds to the log, with line breaks; empty for nothing new. */
  add(item: TraceItem): string {
    if (item.kind === "vertex") return this.#vertex(item);
    const work = this.#works.get(item.vertex);
    if (work === undefined || work.number === null) return "";
    if (item.kind === "log") return this.#output(work, work.decoder.write(item.bytes));
    work.parts.set(item.name, item);
    const key = `${item.vertex} ${item.name}`;
    if (!item.isCompleted) return this.#howFar(work);
    if (this.#told.has(key)) return "";
    this.#told.add(key);
    return `#${work.number} ${item.name} done\n`;
  }

  /** Of all parts together, now and then, because they tell it many times a second; empty where that is not due. */
  #howFar(work: Work): string {
    const now = this.#now();
    const sum = (part: "currentBytes" | "totalBytes") =>
      work.parts.values().reduce((bytes, each) => bytes + each[part], 0) / MIB;
    const current = sum("currentBytes");
    if (current === 0 || now - work.shownAt < SHOWN_EVERY_MS) return "";
    work.shownAt = now;
    const total = sum("totalBytes");
    return `#${work.number} ${current.toFixed(0)}${total > current ? ` of ${total.toFixed(0)}` : ""} MiB so far\n`;
  }

  #vertex(vertex: Extract<TraceItem, { kind: "vertex" }>): string {
    const work = this.#workOf(vertex.id, vertex.name);
    let text = "";
    const isNews = vertex.error !== "" || (vertex.startedMs !== null && !PREPARATION.test(work.name));
    if (work.number === null && isNews) {
      work.number = ++this.#announced;
      work.shownAt = this.#now();
      text += `#${work.number} ${work.name}\n`;
    }
    // It is told again as it goes on: only the first end counts.
    if (work.isOver || (vertex.completedMs === null && vertex.error === "")) return text;
    work.isOver = true;
    if (work.number === null) return "";
    if (work.rest !== "") text += this.#output(work, "\n");
    if (vertex.error !== "") {
      // What was given up because something else failed is no cause.
      const isCause = !/context canceled/.test(vertex.error);
      if (isCause) this.failed ??= { instruction: instructionOf(work.name), lastLines: work.lastLines };
      return `${text}#${work.number} ${isCause ? `ERROR: ${withoutCommand(vertex.error)}` : "CANCELED"}\n`;
    }
    const seconds = ((vertex.completedMs! - vertex.startedMs!) / 1_000).toFixed(1);
    return `${text}#${work.number} ${vertex.isCached ? "CACHED" : `DONE ${seconds}s`}\n`;
  }

  #output(work: Work, text: string): string {
    const lines = (work.rest + text).split(/\r?\n/);
    work.rest = lines.pop()!;
    work.lastLines = [...work.lastLines, ...lines.filter((line) => line.trim() !== "")].slice(-EVIDENCE_LINES);
    return lines.map((line) => `#${work.number} ${line}\n`).join("");
  }

  #workOf(id: string, name: string): Work {
    const known = this.#works.get(id);
    if (known !== undefined) return known;
    const work: Work = {
      number: null,
      shownAt: 0,
      parts: new Map(),
      name,
      decoder: new StringDecoder("utf8"),
      rest: "",
      lastLines: [],
      isOver: false,
    };
    this.#works.set(id, work);
    return work;
  }
}

/** `[build 2/3] RUN make` is `RUN make`; what is done for an instruction before it is that instruction. */
function instructionOf(name: string): string {
  const base = /^\[internal\] load metadata for (\S+)/.exec(name)?.[1];
  if (base !== undefined) return `FROM ${base}`;
  const frontend = /^(?:resolve image config for|docker-image:\/\/)\s*(\S+)/.exec(name)?.[1];
  if (frontend !== undefined) return `# syntax=${frontend}`;
  return name.replace(/^\[[^\]]*\] /, "");
}
