import { fieldsOf } from "./protobuf.ts";

/** What BuildKit tells of a build while it goes on (`moby.buildkit.trace`), as far as people are told of it. */
export type TraceItem =
  | {
      readonly kind: "vertex";
      readonly id: string;
      readonly name: string;
      readonly isCached: boolean;
      readonly startedMs: number | null;
      readonly completedMs: number | null;
      readonly error: string;
    }
  /** A part of a vertex, such as a layer that is pulled; of a total that is not known it is 0. */
  | {
      readonly kind: "status";
      readonly vertex: string;
      readonly name: string;
      readonly currentBytes: number;
      readonly totalBytes: number;
      readonly isCompleted: boolean;
    }
  | { readonly kind: "log"; readonly vertex: string; readonly bytes: Buffer };

export function readTrace(message: Buffer): TraceItem[] {
  const items: TraceItem[] = [];
  for (const { field, value } of fieldsOf(message)) {
    if (typeof value === "bigint") continue;
    if (field === 1) items.push(readVertex(value));
    else if (field === 2) items.push(readStatus(value));
    else if (field === 3) items.push(readLog(value));
  }
  return items;
}

function readVertex(message: Buffer): TraceItem {
  const vertex = { id: "", name: "", isCached: false, startedMs: null, completedMs: null, error: "" };
  const read: Partial<Record<number, (value: bigint | Buffer) => object>> = {
    1: (value) => ({ id: value.toString() }),
    3: (value) => ({ name: value.toString() }),
    4: (value) => ({ isCached: value === 1n }),
    5: (value) => ({ startedMs: timeOf(value) }),
    6: (value) => ({ completedMs: timeOf(value) }),
    7: (value) => ({ error: value.toString() }),
  };
  for (const { field, value } of fieldsOf(message)) Object.assign(vertex, read[field]?.(value));
  return { kind: "vertex", ...vertex };
}

function readStatus(message: Buffer): TraceItem {
  let id = "";
  let vertex = "";
  let name = "";
  let currentBytes = 0;
  let totalBytes = 0;
  let isCompleted = false;
  for (const { field, value } of fieldsOf(message)) {
    if (field === 1) id = value.toString();
    if (field === 2) vertex = value.toString();
    if (field === 3) name = value.toString();
    if (field === 4) currentBytes = Number(value);
    if (field === 5) totalBytes = Number(value);
    if (field === 8) isCompleted = true;
  }
  return { kind: "status", vertex, name: id === "" ? name : id, currentBytes, totalBytes, isCompleted };
}

function readLog(message: Buffer): TraceItem {
  let vertex = "";
  let bytes = Buffer.alloc(0);
  for (const { field, value } of fieldsOf(message)) {
    if (typeof value === "bigint") continue;
    if (field === 1) vertex = value.toString();
    if (field === 4) bytes = Buffer.from(value);
  }
  return { kind: "log", vertex, bytes };
}

/** Seconds and nanoseconds. */
function timeOf(value: bigint | Buffer): number {
  let milliseconds = 0;
  if (typeof value === "bigint") return milliseconds;
  for (const { field, value: part } of fieldsOf(value)) {
    if (field === 1) milliseconds += Number(part) * 1_000;
    if (field === 2) milliseconds += Number(part) / 1_000_000;
  }
  return milliseconds;
}
