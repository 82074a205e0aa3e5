import {
  LINEAGE_NAMED_MAX,
  type Lineage,
  type LineageDirection,
  type LineageEdge,
  type LineageRun,
  type LineageStep,
  type LineageVersion,
} from "../../protocol/lineage.ts";
import type { MemberStepRun, MemberVersion, Takers } from "../store/lineage.ts";
import type { Trace } from "./trace.ts";

export interface GraphOrder {
  readonly trace: Trace;
  readonly roots: readonly MemberVersion[];
  readonly runs: readonly LineageRun[];
  readonly takers: readonly Takers[];
  readonly direction: LineageDirection;
  readonly depth: number;
}

/** Draws single versions and step runs together: a batch of a thousand items is one node, whatever its items read. */
export function lineageGraph({ trace, roots, runs, takers, direction, depth }: GraphOrder): Lineage {
  const runNames = new Map(runs.map(({ id, name }) => [id, name]));
  const stepId = ({ run, step }: Pick<MemberStepRun, "run" | "step">) => `${runNames.get(run) ?? run}/${step}`;
  const takersOfStep = new Map(takers.map((one) => [stepId(one), one.takers]));
  const steps = [...Map.groupBy(trace.stepRuns, stepId)].map(([id, members]): LineageStep => {
    const { run, step } = members[0]!;
    return {
      ...{ id, run, step, stepRuns: members.length },
      keys: members.slice(0, LINEAGE_NAMED_MAX).map(({ key }) => key),
      takenOverBy: [...(takersOfStep.get(id) ?? [])],
    };
  });
  const rootIds = new Set(roots.map(({ id }) => id));
  const grouped = Map.groupBy(trace.versions.values(), versionId);
  const versions = [...grouped].map(([id, members]) => versionNode(id, members, rootIds));
  const edges = edgesOf(trace, stepId);
  return { direction, depth, versions, steps, edges, runs: [...runs], truncated: [...trace.truncated] };
}

function versionId({ pipeline, step, name, version }: MemberVersion): string {
  return `${pipeline}/${step}/${name}/${version}`;
}

function versionNode(id: string, members: readonly MemberVersion[], roots: ReadonlySet<number>): LineageVersion {
  const { pipeline, step, name, version, run, kind, digest } = members[0]!;
  const named = members.filter(({ item }) => item !== "").slice(0, LINEAGE_NAMED_MAX);
  return {
    ...{ id, pipeline, step, name, version, run, kind },
    items: members.length,
    itemNames: named.map(({ item }) => item),
    size: members.reduce((sum, { size }) => sum + size, 0),
    digest: members.length === 1 ? digest : null,
    expired: members.filter(({ isExpired }) => isExpired).length,
    isRoot: members.some((member) => roots.has(member.id)),
  };
}

function edgesOf(trace: Trace, stepId: (stepRun: Pick<MemberStepRun, "run" | "step">) => string): LineageEdge[] {
  const edges = new Map<string, LineageEdge>();
  const add = (edge: LineageEdge) => edges.set(JSON.stringify(edge), edge);
  const known = new Set(trace.stepRuns.map(stepId));
  for (const version of trace.versions.values()) {
    const step = stepId(version);
    if (known.has(step)) add({ kind: "made", step, version: versionId(version) });
  }
  for (const { version, input, ...reader } of trace.reads) {
    const read = trace.versions.get(version);
    const step = stepId(reader);
    if (read !== undefined && known.has(step)) add({ kind: "read", step, version: versionId(read), input });
  }
  return [...edges.values()].toSorted((left, right) => compare(orderOf(left), orderOf(right)));
}

/** An order that does not depend on the way in which the database found them. */
function orderOf(edge: LineageEdge): string {
  return [edge.step, edge.kind, edge.kind === "read" ? edge.input : "", edge.version].join("\0");
}

function compare(left: string, right: string): number {
  return left < right ? -1 : left > right ? 1 : 0;
}
