import { findVersionInRun, listItems } from "../src/server/store/artifacts.ts";
import { BenchServer } from "./bench-server.ts";
import { makeVersions } from "./many-versions.ts";
import { spread } from "./measure.ts";
import type { Finding } from "./report.ts";

const VERSIONS = { runs: 1_000, artifacts: 1_000, ageDays: 1, ownBlobs: false } as const;
const LOOKUPS = 5_000;
/** A p99 is taken of each and the median of these shown: a burst of other work on the machine spoils one, not the figure. */
const BLOCK = 500;
const WARM_UPS = 1_000;

/** The time in which the database finds a version by its name, among a million. */
export async function lookups(): Promise<Finding> {
  await using server = await BenchServer.start();
  await makeVersions(server, VERSIONS);
  const { pool } = server.database;
  const look = async (version: number | null) => {
    const artifact = { pipeline: "many", step: `s${1 + Math.floor(Math.random() * VERSIONS.artifacts)}`, name: "out" };
    const startedAt = performance.now();
    const found = await findVersionInRun(pool, server.project, artifact, version);
    const [item] = await listItems(pool, found!, { item: undefined, after: null, limit: 2 });
    if (item === undefined) throw new Error("a version was not found");
    return performance.now() - startedAt;
  };
  const measured = new Map<string, number[]>([
    ["by number", []],
    ["the latest", []],
  ]);
  for (let n = -WARM_UPS; n < LOOKUPS; n++) {
    const byNumber = await look(1 + Math.floor(Math.random() * VERSIONS.runs));
    const latest = await look(null);
    if (n < 0) continue;
    measured.get("by number")!.push(byNumber);
    measured.get("the latest")!.push(latest);
  }
  const rows = [...measured].map(([what, values]) => ({
    what,
    p50: spread(values).median,
    p99: spread(blocks(values).map(p99)).median,
  }));
  return {
    title: "A version by its name, among 1,000,000",
    table: [
      ["what", "median, ms", "p99, ms"],
      ...rows.map(({ what, p50, p99 }) => [what, p50.toFixed(2), p99.toFixed(2)]),
    ],
    ratios: rows.map(({ what, p99 }) => ({ what: `${what}, p99, ms`, value: p99, atMost: 2 })),
    notes: [
      "Two statements, for the version and for its items, one lookup after another, as the server's routes make them.",
      `The p99 is the median of those of ${LOOKUPS / BLOCK} blocks of ${BLOCK} lookups.`,
    ],
  };
}

const blocks = (values: readonly number[]): number[][] =>
  Array.from({ length: Math.ceil(values.length / BLOCK) }, (_, n) => values.slice(n * BLOCK, (n + 1) * BLOCK));

const p99 = (values: readonly number[]): number => values.toSorted((a, b) => a - b)[Math.floor(values.length * 0.99)]!;
