import type { LogMatches, LogWindow } from "../src/protocol/log-windows.ts";
import type { RunDetail } from "../src/protocol/resources.ts";
import { packLog } from "../src/server/store/log-packing.ts";
import { insertLogChunks } from "../src/server/store/logs.ts";
import { BenchServer } from "./bench-server.ts";
import { elapsedMs, spread } from "./measure.ts";
import type { Finding } from "./report.ts";

const LINES = 1_000_000;
/** As an agent sends them of a step that writes as fast as it can, and of one that writes now and then. */
const LINES_PER_CHUNK = { "in large chunks": 20_000, "in small chunks": 50 } as const;
const WINDOW = 500;
const PIPELINE = `name: log\nenvironment: { image: busybox }\nsteps: { talk: { run: "true" } }\n`;

/** The time until a window of a long log is there, and until a search through all of it has ended. */
export async function logWindows(rounds: number): Promise<Finding> {
  await using server = await BenchServer.start();
  const rows: { what: string; values: readonly number[]; atMost: number }[] = [];
  for (const [kind, perChunk] of Object.entries(LINES_PER_CHUNK)) {
    const { id } = await server.post<RunDetail>("/runs", { pipeline: PIPELINE });
    await writeLog(server, id, perChunk);
    const logs = `/runs/${id}/logs`;
    const looks: Readonly<Record<string, () => Promise<unknown>>> = {
      "its end": () => window(server, `${logs}/lines?from=-${WINDOW}&limit=${WINDOW}`),
      "anywhere in between": () => window(server, `${logs}/lines?from=${randomLine()}&limit=${WINDOW}`),
      "a search to the last line": () =>
        searchAll(server, `${logs}/search?q=${encodeURIComponent(`line ${LINES - 1} `)}`),
    };
    for (const [what, look] of Object.entries(looks)) {
      await look();
      const values: number[] = [];
      for (let round = 0; round < rounds; round++) values.push(await elapsedMs(look));
      rows.push({ what: `${what}, ${kind}`, values, atMost: what.startsWith("a search") ? 10 : 1 });
    }
  }
  return {
    title: "A log of 1,000,000 lines",
    table: [
      ["what", "median, ms", "worst, ms"],
      ...rows.map(({ what, values }) => [what, spread(values).median.toFixed(1), spread(values).max.toFixed(1)]),
    ],
    ratios: rows.map(({ what, values, atMost }) => ({ what: `${what}, s`, value: spread(values).max / 1000, atMost })),
    notes: [`Windows of ${WINDOW} lines over HTTP; a search asks again until it has looked at all of it.`],
  };
}

const randomLine = () => Math.floor(Math.random() * (LINES - WINDOW));

async function window(server: BenchServer, path: string): Promise<void> {
  const { lines, total } = await server.get<LogWindow>(path);
  if (total !== LINES || lines.length !== WINDOW) throw new Error(`${lines.length} lines of ${total}`);
}

async function searchAll(server: BenchServer, path: string): Promise<void> {
  const found: number[] = [];
  for (let from: number | null = 0; from !== null; ) {
    const { lines, next }: LogMatches = await server.get<LogMatches>(`${path}&from=${from}`);
    found.push(...lines);
    from = next;
  }
  if (found.length !== 1 || found[0] !== LINES - 1) throw new Error(`found ${found.join(", ")}`);
}

async function writeLog(server: BenchServer, run: string, perChunk: number): Promise<void> {
  const log = { project: server.project, run, epoch: 1 };
  let start = 0;
  for (let first = 0; first < LINES; first += perChunk) {
    const texts = Array.from(
      { length: perChunk },
      (_, n) => `2026-03-29T03:00:00.000Z INFO line ${first + n} of a step that says much\n`,
    );
    const bytes = Buffer.from(texts.join(""));
    const end = start + bytes.length;
    const chunk = { stepRun: "talk", attempt: 1, stream: "stdout", lines: perChunk } as const;
    await insertLogChunks(server.database.pool, log, [{ ...chunk, start, end, data: await packLog(bytes) }]);
    start = end;
  }
  await server.database.pool.query("VACUUM ANALYZE log_chunks");
}
