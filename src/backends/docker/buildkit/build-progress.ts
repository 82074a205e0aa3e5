import { StringDecoder } from "node:string_decoder";
import { EVIDENCE_LINES, type FailedBuild } from "../build-fault.ts";
import type { TraceItem } from "./trace.ts";

interface Work {
  readonly number: number;
  readonly name: string;
  readonly decoder: StringDecoder;
  /** Of its output, the line that is not complete. */
  rest: string;
  lastLines: string[];
  isAnnounced: boolean;
  isOver: boolean;
}

/**
 * The log of a build from what BuildKit tells: pieces of work go on side by side, so each has a number that stands before
 * its lines, and is announced once, when it begins.
 */
export class BuildProgress {
  readonly #works = new Map<string, Work>();
  readonly #told = new Set<string>();
  failed: FailedBuild | null = null;

  /** The lines that an item adds to the log, with line breaks; empty for nothing new. */
  add(item: TraceItem): string {
    if (item.kind === "vertex") return this.#vertex(item);
    const work = this.#works.get(item.vertex);
    if (work === undefined) return "";
    if (item.kind === "log") return this.#output(work, work.decoder.write(item.bytes));
    const key = `${item.vertex} ${item.name}`;
    if (!item.isCompleted || this.#told.has(key)) return "";
    this.#told.add(key);
    return `#${work.number} ${item.name} done\n`;
  }

  #vertex(vertex: Extract<TraceItem, { kind: "vertex" }>): string {
    const work = this.#workOf(vertex.id, vertex.name);
    let text = "";
    if (!work.isAnnounced && (vertex.startedMs !== null || vertex.error !== "")) {
      work.isAnnounced = true;
      text += `#${work.number} ${work.name}\n`;
    }
    // It is told again as it goes on: only the first end counts.
    if (work.isOver || (vertex.completedMs === null && vertex.error === "")) return text;
    work.isOver = true;
    if (work.rest !== "") text += this.#output(work, "\n");
    if (vertex.error !== "") {
      // What was given up because something else failed is no cause.
      const isCause = !/context canceled/.test(vertex.error);
      if (isCause) this.failed ??= { instruction: instructionOf(work.name), lastLines: work.lastLines };
      return `${text}#${work.number} ${isCause ? `ERROR: ${vertex.error}` : "CANCELED"}\n`;
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
      number: this.#works.size + 1,
      name,
      decoder: new StringDecoder("utf8"),
      rest: "",
      lastLines: [],
      isAnnounced: false,
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
