import { BenchServer } from "./bench-server.ts";
import { type MadeRuns, makeRuns } from "./many-runs.ts";
import { makeVersions } from "./many-versions.ts";
import { spread } from "./measure.ts";
import type { Finding } from "./report.ts";

const VERSIONS = { runs: 1_000, artifacts: 1_000, ageDays: 1, ownBlobs: false } as const;
const RUNS = 100_000;
const WARM_UPS = 5;
const PAGES_PER_ROUND = 10;
/** What a list may take, as people and a page that shows it wait for it. */
const P95_MAX_MS = 50;

/** The time in which lists of runs are answered over HTTP, however little of what there is fits. */
export async function runLists(rounds: number): Promise<Finding> {
  await using server = await BenchServer.start();
  await makeVersions(server, VERSIONS);
  const made = await makeRuns(server, RUNS);
  const measured = new Map<string, number[]>();
  for (const [what, paths] of Object.entries(lists(made))) {
    const times: number[] = [];
    for (let n = -WARM_UPS; n < rounds * PAGES_PER_ROUND; n++) {
      const startedAt = performance.now();
      await server.get(paths(Math.abs(n)));
      if (n >= 0) times.push(performance.now() - startedAt);
    }
    measured.set(what, times);
  }
  const rows = [...measured].map(([what, times]) => ({ what, median: spread(times).median, p95: p95(times) }));
  return {
    title: "Lists among 100,000 runs and 1,000,000 versions",
    table: [
      ["what", "median, ms", "p95, ms"],
      ...rows.map(({ what, median, p95 }) => [what, median.toFixed(1), p95.toFixed(1)]),
    ],
    ratios: rows.map(({ what, p95 }) => ({ what: `${what}, p95, ms`, value: p95, atMost: P95_MAX_MS })),
    notes: ["Pages of 50 over HTTP, one after another, with the check of the token."],
  };
}

/** What people look for, by the number of the request. */
function lists({ ids, fromMs, toMs }: MadeRuns): Readonly<Record<string, (n: number) => string>> {
  const at = (n: number, of: number) => new Date(fromMs + ((toMs - fromMs) * (n % of)) / of).toISOString();
  const cursor = (n: number) => Buffer.from(JSON.stringify([ids[(n * 997) % ids.length]])).toString("base64url");
  return {
    "the newest": () => "/runs",
    "anywhere in between": (n) => `/runs?cursor=${cursor(n)}`,
    "of one pipeline": (n) => `/runs?pipeline=bulk${n % 50}`,
    "failed, of which there are few": () => "/runs?state=failed",
    "queued, with why they wait": () => "/runs?state=queued",
    "in several states": () => "/runs?state=failed,cancelled,running",
    "of one pipeline, failed": (n) => `/runs?pipeline=bulk${n % 50}&state=failed`,
    "of one worker": (n) => `/runs?worker=bulk${n % 20}`,
    "of an hour": (n) => `/runs?since=${at(n, 700)}&until=${at((n % 700) + 1, 700)}`,
    "started by a schedule, with a label": () => "/runs?startedBy=schedule&label=gpu",
    "with a text that many have": () => "/runs?text=region-1",
    "with a text that none has": () => "/runs?text=nowhere",
    "pipelines with their newest runs": () => "/pipelines?recent=20",
    "the overview of a day": () => "/overview",
    "the overview of a month": () => "/overview?hours=720",
    "all of it at once, which none is": (n) =>
      `/runs?text=nowhere&pipeline=bulk${n % 50}&startedBy=trigger&worker=bulk1`,
  };
}

const p95 = (values: readonly number[]): number => values.toSorted((a, b) => a - b)[Math.floor(values.length * 0.95)]!;
