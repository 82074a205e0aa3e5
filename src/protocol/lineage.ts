import { z } from "zod";
import { idOf } from "./ids.ts";
import { Digest, Name } from "./names.ts";
import { Params } from "./plan.ts";
import { RunState } from "./states.ts";

/**
 * Where a version of an artifact comes from and what became of it, as a graph: versions, the step runs that made and
 * read them, and the runs that those belong to. Items of a batch or matrix are one node with a count.
 */

/** Steps that are followed one after another, unless a request says how many. */
export const LINEAGE_DEPTH_DEFAULT = 20;
export const LINEAGE_DEPTH_MAX = 200;
/** Single versions and step runs, items of batches included, that one answer is made of. */
export const LINEAGE_MEMBERS_MAX = 20_000;
/** Of what a node stands for, as many are named. */
export const LINEAGE_NAMED_MAX = 10;

export const LineageDirection = z.enum(["up", "down", "both"]);
export type LineageDirection = z.infer<typeof LineageDirection>;

/** A version of an artifact, with as many of its items as belong to this lineage. */
export const LineageVersion = z.object({
  /** `wine/score/scores/3` */
  id: z.string(),
  pipeline: Name,
  step: Name,
  name: Name,
  version: z.int(),
  /** The run that made it. */
  run: idOf("run"),
  kind: z.enum(["file", "folder"]),
  /** 1 for a plain step. */
  items: z.int(),
  /** Some of the items; none for a plain step. */
  itemNames: z.array(z.string()),
  /** Of these items together. */
  size: z.int(),
  /** Null where it stands for several items. */
  digest: Digest.nullable(),
  /** How many of the items have no content any more. */
  expired: z.int(),
  /** Whether it is what was asked about. */
  isRoot: z.boolean(),
});
export type LineageVersion = z.infer<typeof LineageVersion>;

/** A step in a run, with as many of its step runs as belong to this lineage. */
export const LineageStep = z.object({
  /** `wine#3/score` */
  id: z.string(),
  run: idOf("run"),
  step: Name,
  stepRuns: z.int(),
  /** Some of their keys. */
  keys: z.array(z.string()),
  /** The newest runs that took over what it made instead of making it again: restarts, and hits of the cache. */
  takenOverBy: z.array(z.object({ id: idOf("run"), name: z.string() })),
});
export type LineageStep = z.infer<typeof LineageStep>;

/** A step made a version, or read it under the name of an input (`batch` for what a batch is split from). */
export const LineageEdge = z.discriminatedUnion("kind", [
  z.object({ kind: z.literal("made"), step: z.string(), version: z.string() }),
  z.object({ kind: z.literal("read"), step: z.string(), version: z.string(), input: z.string() }),
]);
export type LineageEdge = z.infer<typeof LineageEdge>;

/** What all steps of a run had in common: the facts at which a lineage ends. */
export const LineageRun = z.object({
  id: idOf("run"),
  /** `wine#3` */
  name: z.string(),
  pipelineVersion: z.int(),
  state: RunState,
  params: Params,
  /** SHA-256 of the source folder that was submitted with it. */
  source: Digest.nullable(),
  restartOf: z.object({ id: idOf("run"), name: z.string() }).nullable(),
  createdBy: z.string(),
  createdAt: z.iso.datetime(),
});
export type LineageRun = z.infer<typeof LineageRun>;

/** Why there is more than an answer shows. */
export const LineageLimit = z.object({
  limit: z.enum(["depth", "members"]),
  max: z.int(),
  /** The direction in which there is more. */
  direction: z.enum(["up", "down"]),
});
export type LineageLimit = z.infer<typeof LineageLimit>;

export const Lineage = z.object({
  direction: LineageDirection,
  depth: z.int(),
  versions: z.array(LineageVersion),
  steps: z.array(LineageStep),
  edges: z.array(LineageEdge),
  runs: z.array(LineageRun),
  /** Empty where this is all of it. */
  truncated: z.array(LineageLimit),
});
export type Lineage = z.infer<typeof Lineage>;
