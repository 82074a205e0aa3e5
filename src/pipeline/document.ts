import { isAlias, isMap, isScalar, isSeq, type Node } from "yaml";
import type { Problem } from "../protocol/errors.ts";
import { formatPath, type Path, PROBLEMS_MAX, quote } from "./problem.ts";
import { type Position, positionsOf } from "./text-position.ts";
import { DEPTH_MAX, parseYaml } from "./yaml.ts";

/** A pipeline of 5,000 steps is below this; whatever is larger is not a pipeline file. */
export const FILE_MAX_BYTES = 1024 * 1024;
/** Values once aliases are followed, which is what an alias bomb multiplies. */
const VALUES_MAX = 250_000;

/** What every object inherits: as a key it could be mistaken for a value wherever a record is read. */
const INHERITED = new Set(["prototype", ...Object.getOwnPropertyNames(Object.prototype)]);

const CONTROL = /(?![\t\n\r])\p{Cc}/u;

/** A file's values, and where each of them stands. */
export interface PipelineDocument {
  readonly value: unknown;
  /** Of the value or of its key; where it is missing, of the key that should hold it. */
  readonly position: (path: Path, part: "key" | "value") => Position;
  /** A number or boolean exactly as written (`1.10`, `0x1F`); null for other values. */
  readonly sourceOf: (path: Path) => string | null;
}

export type DocumentResult =
  | { readonly ok: true; readonly document: PipelineDocument }
  | { readonly ok: false; readonly problems: Problem[] };

/** Reads YAML 1.2 or JSON: one document of mappings, sequences and plain values, within limits. Never throws. */
export function readDocument(text: string): DocumentResult {
  const size = Buffer.byteLength(text);
  if (size > FILE_MAX_BYTES) {
    const message = `the file has ${size} bytes; a pipeline file has at most ${FILE_MAX_BYTES} (1 MiB)`;
    return { ok: false, problems: [{ path: "", message, line: 1, column: 1 }] };
  }
  const position = positionsOf(text);
  const control = CONTROL.exec(text);
  if (control) {
    const message = `the control character ${quote(control[0])} is not allowed`;
    return { ok: false, problems: [{ path: "", message, ...position(control.index) }] };
  }
  const parsed = parseYaml(text);
  if (!parsed.ok) {
    const problems = parsed.problems.slice(0, PROBLEMS_MAX);
    return { ok: false, problems: problems.map(({ offset, message }) => ({ path: "", message, ...position(offset) })) };
  }
  const reader = new ValueReader(position);
  const value = reader.read(parsed.contents, [], 0);
  if (reader.problems.length > 0) return { ok: false, problems: reader.problems };
  return { ok: true, document: locate(value, reader.places, position) };
}

/** Offsets of one entry of a mapping or sequence. */
interface Place {
  readonly key: number;
  readonly value: number;
  readonly source: string | null;
}
type Places = WeakMap<object, Map<string | number, Place>>;

/** Turns parsed nodes into plain values, and notes where each of them stood. */
class ValueReader {
  readonly problems: Problem[] = [];
  readonly places: Places = new WeakMap();
  readonly #position: (offset: number) => Position;
  readonly #anchors = new Map<
    string,
    { readonly node: Node; readonly value: unknown; readonly size: number } | "open"
  >();
  #values = 0;

  constructor(position: (offset: number) => Position) {
    this.#position = position;
  }

  read(node: unknown, path: Path, depth: number): unknown {
    if (node === null || node === undefined) return null;
    if (isAlias(node)) return this.#readAlias(node.source, startOf(node), path);
    if (!isScalar(node) && !isMap(node) && !isSeq(node)) throw new TypeError("the parser made an unknown kind of node");
    const offset = startOf(node);
    if (depth > DEPTH_MAX) return this.#refuse(path, offset, `nested more than ${DEPTH_MAX} deep`);
    if (node.tag !== undefined) return this.#refuse(path, offset, `tags such as ${quote(node.tag)} are not supported`);
    const before = this.#values;
    if (!this.#count(1, path, offset)) return null;
    if (node.anchor !== undefined) this.#anchors.set(node.anchor, "open");
    const value = isScalar(node)
      ? this.#readScalar(node.value, path, offset)
      : isSeq(node)
        ? this.#readSequence(node.items, path, depth)
        : this.#readMapping(node.items, path, depth);
    if (node.anchor !== undefined) this.#anchors.set(node.anchor, { node, value, size: this.#values - before });
    return value;
  }

  /** The very value of the anchor, so that nothing is expanded here; what it will cost others is counted. */
  #readAlias(name: string, offset: number, path: Path): unknown {
    const target = this.#anchors.get(name);
    if (target === undefined) return this.#refuse(path, offset, `no anchor ${quote(`&${name}`)} stands before this`);
    if (target === "open") return this.#refuse(path, offset, `the anchor ${quote(`&${name}`)} holds itself`);
    return this.#count(target.size, path, offset) ? target.value : null;
  }

  #readScalar(value: unknown, path: Path, offset: number): unknown {
    if (typeof value === "number" && !Number.isFinite(value)) {
      return this.#refuse(path, offset, "infinity and not-a-number are not supported");
    }
    if (typeof value === "string" && CONTROL.test(value)) {
      return this.#refuse(path, offset, `the text ${quote(value)} holds a control character`);
    }
    return value;
  }

  #readSequence(items: readonly unknown[], path: Path, depth: number): unknown[] {
    const value: unknown[] = [];
    const places = new Map<number, Place>();
    this.places.set(value, places);
    for (const [index, item] of items.entries()) {
      if (this.#values > VALUES_MAX) break;
      places.set(index, { key: startOf(item), value: startOf(item), source: this.#sourceOf(item) });
      value.push(this.read(item, [...path, index], depth + 1));
    }
    return value;
  }

  #readMapping(items: readonly { key: unknown; value: unknown }[], path: Path, depth: number): Record<string, unknown> {
    const value: Record<string, unknown> = {};
    const places = new Map<string, Place>();
    this.places.set(value, places);
    for (const { key: keyNode, value: valueNode } of items) {
      if (this.#values > VALUES_MAX) break;
      const key = this.#readKey(keyNode, path);
      if (key === null) continue;
      const offset = startOf(keyNode);
      const first = places.get(key);
      if (first !== undefined) {
        this.#refuse(path, offset, `duplicate key ${quote(key)}, first on line ${this.#position(first.key).line}`);
        continue;
      }
      places.set(key, { key: offset, value: startOf(valueNode ?? keyNode), source: this.#sourceOf(valueNode) });
      value[key] = this.read(valueNode, [...path, key], depth + 1);
    }
    return value;
  }

  /** A key as written: `1` and `true` are texts here. */
  #readKey(node: unknown, path: Path): string | null {
    const offset = startOf(node);
    if (!isScalar(node) || node.tag !== undefined || node.anchor !== undefined || node.value === null) {
      return this.#refuse(path, offset, "a key must be a plain text");
    }
    const key = typeof node.value === "string" ? node.value : (node.source ?? "");
    if (INHERITED.has(key)) return this.#refuse(path, offset, `the key ${quote(key)} is reserved`);
    if (CONTROL.test(key)) return this.#refuse(path, offset, `the key ${quote(key)} holds a control character`);
    return key;
  }

  #sourceOf(node: unknown): string | null {
    if (isAlias(node)) {
      const target = this.#anchors.get(node.source);
      return target === undefined || target === "open" ? null : this.#sourceOf(target.node);
    }
    return isScalar(node) && typeof node.value !== "string" ? (node.source ?? null) : null;
  }

  #count(values: number, path: Path, offset: number): boolean {
    if (this.#values > VALUES_MAX) return false;
    this.#values += values;
    if (this.#values <= VALUES_MAX) return true;
    this.#refuse(path, offset, `the file holds more than ${VALUES_MAX} values once its aliases are followed`);
    return false;
  }

  #refuse(path: Path, offset: number, message: string): null {
    if (this.problems.length < PROBLEMS_MAX) {
      this.problems.push({ path: formatPath(path), message, ...this.#position(offset) });
    }
    return null;
  }
}

function locate(root: unknown, places: Places, positionOf: (offset: number) => Position): PipelineDocument {
  /** The place of a path, or of the longest part of it that exists. */
  function find(path: Path): { readonly place: Place | null; readonly complete: boolean } {
    let value = root;
    let place: Place | null = null;
    for (const part of path) {
      const next = typeof value === "object" && value !== null ? places.get(value)?.get(part) : undefined;
      if (next === undefined) return { place, complete: false };
      place = next;
      value = (value as Record<string | number, unknown>)[part];
    }
    return { place, complete: true };
  }
  return {
    value: root,
    position(path, part) {
      const { place, complete } = find(path);
      return positionOf(place === null ? 0 : complete ? place[part] : place.key);
    },
    sourceOf(path) {
      const { place, complete } = find(path);
      return complete ? (place?.source ?? null) : null;
    },
  };
}

function startOf(node: unknown): number {
  return (node as Node | null)?.range?.[0] ?? 0;
}
