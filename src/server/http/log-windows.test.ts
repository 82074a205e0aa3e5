import assert from "node:assert/strict";
import { type TestContext, test } from "node:test";
import {
  chainEvents,
  errorOf,
  runServer,
  started,
  submit,
  takeRun,
  waitBegins,
} from "../../../test/setup/run-fixture.ts";
import { type TestServer, testWorker } from "../../../test/setup/server.ts";
import { LOG_LINE_MAX_BYTES, type LogMatches, type LogWindow } from "../../protocol/log-windows.ts";

interface Piece {
  readonly text: string;
  readonly stream?: "stdout" | "stderr";
}

/** A run whose step `make` writes what it is told, each piece as a chunk of its own. */
async function logging(t: TestContext) {
  const server = await runServer(t);
  const { id } = await submit(server);
  const run = await takeRun(await testWorker(server));
  await run.report({ type: "run.started", backend: "process" }, started("make"));
  const ends = { stdout: 0, stderr: 0 };
  const write = async (...pieces: Piece[]) => {
    for (const { text, stream = "stdout" } of pieces) {
      const answer = await run.logs({ stepRun: "make", attempt: 1, stream, offset: ends[stream], text });
      assert.equal(answer.statusCode, 200, answer.body);
      ends[stream] += Buffer.byteLength(text);
    }
  };
  const end = () => run.report(...chainEvents().slice(2));
  return { server, id, write, end };
}

async function get<T>(server: TestServer, url: string): Promise<T> {
  const answer = await server.call("viewer", { url });
  assert.equal(answer.statusCode, 200, answer.body);
  return answer.json();
}

const textsOf = ({ lines }: Pick<LogWindow, "lines">) => lines.map(({ message }) => message);

test("lines are numbered by the arrival of their ends, whatever chunks and streams they came in", async (t) => {
  const { server, id, write } = await logging(t);
  await write({ text: "one\ntw" }, { text: "warning\n", stream: "stderr" }, { text: "o\nthr" }, { text: "ee" });
  const window = (query: string) => get<LogWindow>(server, `/runs/${id}/logs/lines?${query}`);
  const all = await window("step=make&attempt=1");
  assert.deepEqual(textsOf(all), ["one", "warning", "two"]);
  assert.deepEqual([all.total, all.from, all.ended], [3, 0, false]);
  assert.deepEqual(
    all.lines.map(({ stream, offset }) => [stream, offset]),
    [
      ["stdout", 0],
      ["stderr", 0],
      ["stdout", 4],
    ],
  );
  assert.deepEqual(
    all.open.map(({ message, offset }) => [message, offset]),
    [["three", 8]],
  );
  assert.deepEqual(textsOf(await window("from=2")), ["two"], "its beginning came in a chunk before");
  const first = await window("from=0&limit=1");
  assert.deepEqual([textsOf(first), first.open], [["one"], []]);
  assert.deepEqual(textsOf(await window("from=-2")), ["warning", "two"]);
  const behind = await window("from=3");
  assert.deepEqual([behind.from, textsOf(behind), behind.open.map(({ message }) => message)], [3, [], ["three"]]);
  await write({ text: "\nfour\n" });
  assert.deepEqual(textsOf(await window("from=3")), ["three", "four"]);
  assert.deepEqual(textsOf(await window("stream=stderr")), ["warning"]);
  const unknown = await server.call("viewer", { url: `/runs/${id}/logs/lines?step=nope` });
  assert.equal(errorOf(unknown).code, "not_found");
});

test("structured lines are taken apart, and of a line without end only the beginning is shown", async (t) => {
  const { server, id, write } = await logging(t);
  const long = "ä".repeat(LOG_LINE_MAX_BYTES);
  await write({ text: `\u001e${JSON.stringify({ level: "warn", message: "hot", fields: { celsius: 90 } })}\n` });
  await write({ text: long.slice(0, 5_000) }, { text: `${long.slice(5_000)}\nend\n` });
  const [record, cut, end] = (await get<LogWindow>(server, `/runs/${id}/logs/lines`)).lines;
  assert.deepEqual([record!.level, record!.message, record!.fields], ["warn", "hot", { celsius: 90 }]);
  assert.equal(cut!.cut, true);
  assert.match(cut!.message, /^ä{8190,8192}$/);
  assert.deepEqual([end!.message, end!.cut], ["end", undefined]);
});

test("what arrived before lines were counted is counted when somebody looks at it", async (t) => {
  const { server, id, write } = await logging(t);
  await write({ text: "one\n" }, { text: "two\nthree\n" });
  await server.services.database.pool.query("UPDATE log_chunks SET lines = NULL");
  const window = await get<LogWindow>(server, `/runs/${id}/logs/lines?from=1`);
  assert.deepEqual([window.total, textsOf(window)], [3, ["two", "three"]]);
});

test("who waits at the end is answered when lines come, and when the run has ended", async (t) => {
  const { server, id, write, end } = await logging(t);
  await write({ text: "one\n" });
  const waits = async () => {
    const begun = waitBegins(server);
    const answer = get<LogWindow>(server, `/runs/${id}/logs/lines?from=${next}&waitMs=20000`);
    await begun;
    return answer;
  };
  let next = 1;
  const pending = waits();
  await write({ text: "two\n" });
  const grown = await pending;
  assert.deepEqual([textsOf(grown), grown.ended], [["two"], false]);
  next = 2;
  const last = waits();
  await end();
  assert.deepEqual([textsOf(await last), (await last).ended], [[], true]);
});

test("a search finds the lines that are nearest to where it begins, in both directions, and says where it goes on", async (t) => {
  const { server, id, write } = await logging(t);
  const lines = Array.from({ length: 1_000 }, (_, n) => (n % 100 === 7 ? `Needle (${n})` : `hay ${n}`));
  const text = `${lines.join("\n")}\n`;
  // Borders between chunks lie within lines, and within the word.
  const cut = text.indexOf("Needle (307)") + 3;
  await write({ text: text.slice(0, cut) }, { text: text.slice(cut) });
  const search = (query: string) => get<LogMatches>(server, `/runs/${id}/logs/search?${query}`);
  const all = await search("q=NEEDLE");
  assert.deepEqual(all.lines, [7, 107, 207, 307, 407, 507, 607, 707, 807, 907]);
  assert.deepEqual([all.searched, all.next], [{ from: 0, to: 1_000 }, null]);
  const some = await search("q=needle&from=108&limit=2");
  assert.deepEqual([some.lines, some.next], [[207, 307], 308]);
  const before = await search("q=needle&direction=previous&from=307&limit=2");
  assert.deepEqual([before.lines, before.next], [[107, 207], 107]);
  const first = await search("q=needle&direction=previous&from=107&limit=2");
  assert.deepEqual([first.lines, first.next], [[7], null]);
  assert.deepEqual((await search(`q=${encodeURIComponent("(407)")}`)).lines, [407], "it is no pattern");
  assert.deepEqual((await search("q=nothing")).lines, []);
});

test("what looks like an error is found in plain and in structured lines", async (t) => {
  const { server, id, write } = await logging(t);
  const record = `\u001e${JSON.stringify({ level: "error", message: "lost" })}`;
  const lines = [
    "terror",
    "0 mirrors",
    "ERROR: disk",
    "Traceback (most recent call last):",
    "ValueError: x",
    record,
    "ok",
  ];
  await write({ text: `${lines.join("\n")}\n` });
  const found = await get<LogMatches>(server, `/runs/${id}/logs/search?errors=true`);
  assert.deepEqual(found.lines, [2, 3, 4, 5]);
  for (const query of ["", "q=a&errors=true"]) {
    const answer = await server.call("viewer", { url: `/runs/${id}/logs/search?${query}` });
    assert.equal(answer.statusCode, 400, query);
  }
});
