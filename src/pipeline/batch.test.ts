import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import type { BatchSlice } from "../runtime/attempt-work.ts";
import { BATCH_ITEMS_MAX, type ByteSlice, batchFormat, type FileSlice, indexBatch, sliceFiles } from "./batch.ts";

type Format = "lines" | "csv" | "json";

/** The text in pieces of these sizes, in turn. */
async function* inChunks(text: string, sizes: readonly number[]): AsyncGenerator<Uint8Array> {
  const bytes = Buffer.from(text);
  for (let at = 0, turn = 0; at < bytes.length; turn++) {
    const size = sizes[turn % sizes.length] ?? bytes.length;
    yield bytes.subarray(at, at + size);
    at += size;
  }
}

/** What each item sees. */
async function split(text: string, format: Format, size: number, sizes: readonly number[] = [3]): Promise<string[]> {
  const bytes = Buffer.from(text);
  const { slices } = await indexBatch(inChunks(text, sizes), format, size);
  return slices.map(({ prefix, start, end, suffix }) => prefix + bytes.subarray(start, end).toString() + suffix);
}

const rejects = (text: string, format: Format, expected: { message: RegExp; offset: number }) =>
  assert.rejects(split(text, format, 1), { name: "BatchInputError", ...expected });

test("lines are split with their line breaks, and the last may have none", async () => {
  assert.deepEqual(await split("a\nb\r\nc", "lines", 2), ["a\nb\r\n", "c"]);
  assert.deepEqual(await split("a\nb\n", "lines", 1), ["a\n", "b\n"]);
  assert.deepEqual(await split("", "lines", 1), []);
});

test("CSV rows keep the header, and a newline within quotes ends no row", async () => {
  const csv = 'id,text\n1,"a\nb ""quoted"""\n2,5" pipe\n3,c';
  assert.deepEqual(await split(csv, "csv", 2), ['id,text\n1,"a\nb ""quoted"""\n2,5" pipe\n', "id,text\n3,c"]);
});

test("a CSV with nothing but a header has no rows, and blank lines are none", async () => {
  assert.deepEqual(await split("id,text", "csv", 1), []);
  assert.deepEqual(await split("id\n\n1\n\r\n2\n\n", "csv", 1), ["id\n1\n", "id\n2\n"]);
});

test("a CSV field that is never closed is refused where it opens", async () => {
  await rejects('id\n1\n"2\n3\n', "csv", { message: /never closed/, offset: 5 });
});

test("a CSV header that is not UTF-8 is refused", async () => {
  async function* latin1() {
    yield Buffer.from("gr\xf6\xdfe\n1\n", "latin1");
  }
  await assert.rejects(indexBatch(latin1(), "csv", 1), { name: "BatchInputError", message: /header is not UTF-8/ });
});

test("each slice of a JSON array is an array again", async () => {
  const json = ' [ {"a": ["]", "\\""]}, 2 ,"x,y", [ ], null\n]\n';
  assert.deepEqual(
    (await split(json, "json", 2)).map((slice) => JSON.parse(slice)),
    [[{ a: ["]", '"'] }, 2], ["x,y", []], [null]],
  );
  assert.deepEqual(await split("[]", "json", 1), []);
});

test("what is no JSON array is refused, with the place", async () => {
  await rejects('{"a": 1}', "json", { message: /expected a JSON array/, offset: 0 });
  await rejects("7", "json", { message: /expected a JSON array/, offset: 0 });
  await rejects("[1 2]", "json", { message: /expected ','/, offset: 3 });
  await rejects("[1,]", "json", { message: /expected a value/, offset: 3 });
  await rejects("[1] x", "json", { message: /expected the end/, offset: 4 });
  await rejects("[tru]", "json", { message: /neither a number nor/, offset: 1 });
  await rejects('["a', "json", { message: /text is never closed/, offset: 1 });
  await rejects('[{"a": [1]', "json", { message: /object is never closed/, offset: 1 });
  await rejects("[[1}]", "json", { message: /expected/, offset: 3 });
  await rejects("", "json", { message: /empty/, offset: 0 });
  await rejects("[".repeat(2_000), "json", { message: /nested more than/, offset: 1_000 });
});

test("more items than anyone could run are refused with advice", async () => {
  await assert.rejects(split("x\n".repeat(BATCH_ITEMS_MAX + 1), "lines", 1, [65_536]), /raise batch.size/);
  assert.throws(() => sliceFiles(Array.from({ length: BATCH_ITEMS_MAX + 1 }, String), 1), /raise batch.size/);
});

test("files of a folder are counted in their order", () => {
  assert.deepEqual(sliceFiles(["a", "b/c", "d"], 2), [
    { kind: "files", paths: ["a", "b/c"] },
    { kind: "files", paths: ["d"] },
  ]);
  assert.deepEqual(sliceFiles([], 2), []);
});

test("without a format, the content decides", () => {
  const file = (fileName: string) => ({ kind: "file", fileName }) as const;
  assert.equal(batchFormat({ kind: "folder", fileName: "images.json" }), "files");
  assert.equal(batchFormat(file("rows.CSV")), "csv");
  assert.equal(batchFormat(file("rows.tsv")), "csv");
  assert.equal(batchFormat(file("items.json")), "json");
  assert.equal(batchFormat(file("items.jsonl")), "lines");
  assert.equal(batchFormat(file("names")), "lines");
  assert.equal(batchFormat(file("names"), "csv"), "csv");
});

test("a format that cannot be read from the content is refused", () => {
  assert.throws(() => batchFormat({ kind: "folder", fileName: "x" }, "csv"), /it is a folder/);
  assert.throws(() => batchFormat({ kind: "file", fileName: "x" }, "files"), /it is a file/);
});

test("slices have the shape that the runtime stages", () => {
  const slices: BatchSlice[] = [] satisfies (ByteSlice | FileSlice)[];
  const twins: (ByteSlice | FileSlice)[] = slices;
  assert.deepEqual(twins, []);
});

const chunkSizes = fc.array(fc.integer({ min: 1, max: 7 }), { minLength: 1, maxLength: 4 });
const groupsOf = <T>(items: readonly T[], size: number): T[][] =>
  Array.from({ length: Math.ceil(items.length / size) }, (_, index) => items.slice(index * size, (index + 1) * size));

test("any JSON array is split into its items, however it is written and chunked", async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(fc.jsonValue(), { maxLength: 8 }),
      fc.integer({ min: 1, max: 3 }),
      fc.constantFrom(0, 1, 4),
      chunkSizes,
      async (items, size, indent, sizes) => {
        const slices = await split(JSON.stringify(items, null, indent), "json", size, sizes);
        assert.deepEqual(
          slices.map((slice) => JSON.parse(slice)),
          groupsOf(items, size).map((group) => JSON.parse(JSON.stringify(group))),
        );
      },
    ),
    { numRuns: 300 },
  );
});

test("any text is accepted as JSON array exactly when JSON.parse accepts it", async () => {
  const piece = fc.constantFrom(
    "[",
    "]",
    "{",
    "}",
    ",",
    ":",
    '"',
    "a",
    "1",
    "-",
    ".",
    "e",
    "true",
    "null",
    " ",
    "\\",
    '"k":',
    "\n",
    "0",
  );
  await fc.assert(
    fc.asyncProperty(fc.array(piece, { maxLength: 12 }), async (pieces) => {
      // Escapes within texts are left to whoever reads the item.
      const text = `[${pieces.join("")}]`;
      fc.pre(!text.includes("\\"));
      let valid = true;
      try {
        valid = Array.isArray(JSON.parse(text));
      } catch {
        valid = false;
      }
      const accepted = await split(text, "json", 1).then(
        () => true,
        () => false,
      );
      assert.equal(accepted, valid, text);
    }),
    { numRuns: 3_000 },
  );
});

test("any CSV rows are found again, however they are quoted and chunked", async () => {
  const field = fc.string({ unit: fc.constantFrom("a", ",", '"', "\n", "ü", ";"), maxLength: 4 });
  const quoted = (text: string) => `"${text.replaceAll('"', '""')}"`;
  await fc.assert(
    fc.asyncProperty(
      fc.array(fc.tuple(field, field), { maxLength: 8 }),
      fc.integer({ min: 1, max: 3 }),
      chunkSizes,
      async (rows, size, sizes) => {
        const lines = rows.map((row) => `${row.map(quoted).join(",")}\n`);
        const slices = await split(`x,y\n${lines.join("")}`, "csv", size, sizes);
        assert.deepEqual(
          slices,
          groupsOf(lines, size).map((group) => `x,y\n${group.join("")}`),
        );
      },
    ),
    { numRuns: 300 },
  );
});
