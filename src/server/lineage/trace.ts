import { LINEAGE_MEMBERS_MAX, type LineageDirection, type LineageLimit } from "../../protocol/lineage.ts";
import type { Queryable } from "../store/database.ts";
import { type MemberStepRun, type MemberVersion, madeBy, membersById, readersOf, readsOf } from "../store/lineage.ts";

/** Rows of one question to the database: what a thousand step runs read, if each of them reads two hundred versions. */
const ROWS_MAX = 200_000;

export interface TraceOrder {
  readonly project: string;
  readonly roots: readonly MemberVersion[];
  readonly direction: LineageDirection;
  readonly depth: number;
  /** Single versions and step runs; default LINEAGE_MEMBERS_MAX. */
  readonly membersMax?: number;
}

/** Single versions and step runs, and who read what; not yet drawn together. */
export interface Trace {
  readonly versions: ReadonlyMap<number, MemberVersion>;
  readonly stepRuns: readonly MemberStepRun[];
  readonly reads: readonly TracedRead[];
  readonly truncated: readonly LineageLimit[];
}

/** A step in a run read a version; not said again for each step run of it. */
export interface TracedRead extends Pick<MemberStepRun, "run" | "step"> {
  readonly input: string;
  readonly version: number;
}

/**
 * Follows versions to what they were made from, and to what was made from them: one question per level and direction, each
 * about those versions and step runs alone that were found by the one before. What is found on several paths is followed
 * once, so that a diamond costs what its nodes do. Nothing that is found can change: only more can come.
 */
export async function traceLineage(db: Queryable, order: TraceOrder): Promise<Trace> {
  const tracer = new Tracer(db, order);
  if (order.direction !== "down") await tracer.up();
  if (order.direction !== "up") await tracer.down();
  return tracer.trace();
}

class Tracer {
  readonly #db: Queryable;
  readonly #order: TraceOrder;
  readonly #membersMax: number;
  readonly #versions: Map<number, MemberVersion>;
  readonly #stepRuns = new Map<string, MemberStepRun>();
  readonly #reads = new Map<string, TracedRead>();
  readonly #truncated: LineageLimit[] = [];

  constructor(db: Queryable, order: TraceOrder) {
    this.#db = db;
    this.#order = order;
    this.#membersMax = order.membersMax ?? LINEAGE_MEMBERS_MAX;
    this.#versions = new Map(order.roots.map((root) => [root.id, root]));
  }

  trace(): Trace {
    return {
      versions: this.#versions,
      stepRuns: [...this.#stepRuns.values()],
      reads: [...this.#reads.values()],
      truncated: this.#truncated,
    };
  }

  async up(): Promise<void> {
    const { depth, roots } = this.#order;
    const followed = new Set<string>();
    let frontier = roots;
    for (let level = 0; frontier.length > 0; level++) {
      const makers = frontier
        .map(({ run, stepRun, step }) => ({ run, key: stepRun, step }))
        .filter((maker) => !followed.has(keyOf(maker)) && followed.add(keyOf(maker)));
      this.#add(makers, "up");
      if (level === depth) {
        if ((await readsOf(this.#db, makers, 1)).length > 0) this.#cut("depth", "up");
        return;
      }
      const reads = await readsOf(this.#db, makers, ROWS_MAX);
      if (reads.reduce((sum, { rows }) => sum + rows, 0) >= ROWS_MAX) this.#cut("members", "up");
      frontier = await this.#load(
        reads.flatMap(({ versions }) => versions),
        "up",
      );
      for (const { run, step, input, versions } of reads) {
        for (const version of versions) this.#read({ run, step, input, version });
      }
    }
  }

  async down(): Promise<void> {
    const { depth, roots, project } = this.#order;
    const followed = new Set<string>();
    let frontier = roots;
    for (let level = 0; frontier.length > 0; level++) {
      const ids = frontier.map(({ id }) => id);
      if (level === depth) {
        if ((await readersOf(this.#db, project, ids, 1)).length > 0) this.#cut("depth", "down");
        return;
      }
      const rows = await readersOf(this.#db, project, ids, ROWS_MAX);
      if (rows.length >= ROWS_MAX) this.#cut("members", "down");
      const readers = rows.filter((reader) => !followed.has(keyOf(reader)) && followed.add(keyOf(reader)));
      this.#add(
        readers.map(({ run, key, step }) => ({ run, key, step })),
        "down",
      );
      for (const { run, step, input, read } of rows) this.#read({ run, step, input, version: read });
      frontier = await this.#load(await madeBy(this.#db, readers, ROWS_MAX), "down");
    }
  }

  /** Those of them that were not known, as many as there is room for. */
  async #load(ids: readonly number[], direction: "up" | "down"): Promise<readonly MemberVersion[]> {
    const fresh = [...new Set(ids)].filter((id) => !this.#versions.has(id));
    const wanted = fresh.slice(0, this.#room());
    if (wanted.length < fresh.length) this.#cut("members", direction);
    const loaded = wanted.length === 0 ? [] : await membersById(this.#db, this.#order.project, wanted);
    for (const version of loaded) this.#versions.set(version.id, version);
    return loaded;
  }

  #add(stepRuns: readonly MemberStepRun[], direction: "up" | "down"): void {
    for (const stepRun of stepRuns) {
      if (this.#stepRuns.has(keyOf(stepRun))) continue;
      if (this.#room() === 0) this.#cut("members", direction);
      else this.#stepRuns.set(keyOf(stepRun), stepRun);
    }
  }

  #room(): number {
    return Math.max(0, this.#membersMax - this.#versions.size - this.#stepRuns.size);
  }

  #read(read: TracedRead): void {
    this.#reads.set(`${read.run} ${read.step} ${read.input} ${read.version}`, read);
  }

  #cut(limit: LineageLimit["limit"], direction: LineageLimit["direction"]): void {
    const max = limit === "depth" ? this.#order.depth : this.#membersMax;
    if (this.#truncated.some((one) => one.limit === limit && one.direction === direction)) return;
    this.#truncated.push({ limit, max, direction });
  }
}

function keyOf({ run, key }: Pick<MemberStepRun, "run" | "key">): string {
  return `${run} ${key}`;
}
