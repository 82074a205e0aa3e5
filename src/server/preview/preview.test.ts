import assert from "node:assert/strict";
import { Readable } from "node:stream";
import { test } from "node:test";
import { deflateRawSync } from "node:zlib";
import { parquetWriteBuffer } from "hyparquet-writer";
import { BoundedReader } from "./bounded-reader.ts";
import { type FilePreview, previewFile } from "./preview.ts";

interface Reading {
  readonly reader: BoundedReader;
  bytesRead: number;
}

function readingOf(bytes: Uint8Array, budgetBytes = 48 * 1024 * 1024, size = bytes.length): Reading {
  const signal = AbortSignal.timeout(8_000);
  const reading = { bytesRead: 0 } as { reader: BoundedReader; bytesRead: number };
  const open = async (start: number, end: number) => {
    reading.bytesRead += end - start + 1;
    return Readable.from([bytes.subarray(start, end + 1)]);
  };
  reading.reader = new BoundedReader(size, open, { budgetBytes, signal });
  return reading;
}

async function preview(bytes: Uint8Array | string, fileName: string, rows = 3): Promise<FilePreview> {
  const { reader } = readingOf(typeof bytes === "string" ? Buffer.from(bytes) : bytes);
  return await previewFile(reader, { fileName, contentType: "application/octet-stream" }, rows);
}

async function noneOf(bytes: Uint8Array | string, fileName: string): Promise<string> {
  const { content } = await preview(bytes, fileName);
  assert.equal(content.kind, "none", JSON.stringify(content).slice(0, 300));
  return content.kind === "none" ? content.why : "";
}

test("the first rows of CSV and TSV are a table, with quotes, line ends and a byte order mark", async () => {
  const csv = await preview('\ufeffa,b\r\n1,"x, ""y""\nz"\r\n2,\r\n3,w\r\n4,v\r\n', "x.csv");
  assert.deepEqual(csv.content, {
    ...{ kind: "table", format: "csv", totalRows: null, totalColumns: 2 },
    columns: [
      { name: "a", type: null },
      { name: "b", type: null },
    ],
    rows: [
      ["1", 'x, "y"\nz'],
      ["2", ""],
      ["3", "w"],
    ],
  });
  assert.equal(csv.truncated, true);
  const tsv = await preview("a\tb\n1\t2\n", "x.tsv");
  assert.deepEqual([tsv.truncated, tsv.content.kind === "table" && tsv.content.rows], [false, [["1", "2"]]]);
});

test("a CSV that is none is shown as text, and says in which row it is none", async () => {
  const notes: [string, RegExp][] = [
    ["a,b\n1,2,3\n", /it is not CSV: row 2 has 3 fields, and the header has 2/],
    ['a,b\n1,"2\n', /row 2 has a quote that is never closed/],
    ['a,b\n1,"2"x\n', /row 2 has text after a closing quote/],
    ["", /it is empty/],
  ];
  for (const [text, why] of notes) {
    const { content, note } = await preview(text, "x.csv");
    assert.deepEqual([content.kind, content.kind === "text" && content.text], ["text", text]);
    assert.match(note!, why);
  }
  const binary = await preview(Buffer.from([0xff, 0xfe, 0, 1]), "x.csv");
  assert.equal(binary.content.kind, "binary");
  assert.match(binary.note!, /named like csv, and is not text/);
});

test("JSON is a value of bounded size; what is deep, broken or long is not parsed to the end", async () => {
  const value = { list: Array.from({ length: 1000 }, (_, index) => index), long: "x".repeat(5000) };
  const text = JSON.stringify(value).replace(/\}$/, ',"__proto__":1}');
  const { content, truncated } = await preview(text, "x.json");
  assert.ok(content.kind === "json" && truncated);
  const shown = content.value as { list: number[]; long: string };
  assert.deepEqual([shown.list.length, shown.long.length, Object.keys(shown).at(-1)], [100, 500, "__proto__"]);
  const deep = await preview("[".repeat(200_000), "x.json");
  assert.match(deep.note!, /nested deeper than 64 levels/);
  assert.match((await preview('{"a": tru}', "x.json")).note!, /it is not JSON/);
  assert.match((await preview(`"${"x".repeat(3 * 1024 * 1024)}"`, "x.json")).note!, /too large/);
  const wide = await preview(JSON.stringify(Array.from({ length: 90 }, () => Array(90).fill([1]))), "x.json");
  assert.ok(JSON.stringify(wide.content).length < 60_000);
  const lines = await preview('{"a":1}\n\n{"a":2}\n{"a":3}\n{"a":4}\n', "x.jsonl");
  assert.deepEqual(lines.content, { kind: "json", format: "jsonl", value: [{ a: 1 }, { a: 2 }, { a: 3 }] });
  assert.match((await preview('{"a":1}\nno\n', "x.ndjson")).note!, /of line 2, it is not JSON/);
});

test("text is UTF-8 or no text, and neither a long line nor a long file is shown whole", async () => {
  const cut = Buffer.from(`${"a".repeat(256 * 1024 - 1)}éb`);
  const { content, truncated } = await preview(cut, "x.log");
  assert.ok(content.kind === "text" && truncated);
  assert.ok(content.text.length < 2_100 && content.text.endsWith("…"));
  const latin1 = await preview(Buffer.from("caf\xe9", "latin1"), "x.txt");
  assert.deepEqual(latin1.content, { kind: "binary", type: null, start: "636166e9" });
  assert.deepEqual((await preview("one\ntwo\n", "x")).content, { kind: "text", text: "one\ntwo\n" });
});

test("images say their size, whatever their name, and nothing of them is decoded", async () => {
  const png = Buffer.concat([
    Buffer.from("89504e470d0a1a0a0000000d49484452", "hex"),
    Buffer.from("0000028000000168", "hex"),
  ]);
  const gif = Buffer.concat([Buffer.from("GIF89a"), Buffer.from([64, 1, 240, 0, 0])]);
  const webp = Buffer.concat([
    Buffer.from("RIFF\0\0\0\0WEBPVP8X\0\0\0\0"),
    Buffer.from("000000007f020067010000", "hex"),
  ]);
  const jpeg = Buffer.from("ffd8ffe000104a46494600010100000100010000ffc0001108016802800301220002110103110100", "hex");
  const svg =
    '<?xml version="1.0"?>\n<!-- x -->\n<svg viewBox="0 0 640 360" onload="alert(1)"><script>alert(1)</script></svg>';
  const shown = async (bytes: Uint8Array | string) => {
    const { content } = await preview(bytes, "x.bin");
    return content.kind === "image" ? [content.format, content.width, content.height] : [content.kind];
  };
  assert.deepEqual(await shown(png), ["png", 640, 360]);
  assert.deepEqual(await shown(gif), ["gif", 320, 240]);
  assert.deepEqual(await shown(webp), ["webp", 640, 360]);
  assert.deepEqual(await shown(jpeg), ["jpeg", 640, 360]);
  assert.deepEqual(await shown(svg), ["svg", 640, 360]);
  assert.deepEqual(await shown('<svg width="100%" height="2in"/>'), ["svg", null, null]);
  assert.deepEqual(await shown("<html><body><svg width='1'/></body></html>"), ["text"]);
  assert.deepEqual(await shown(Buffer.from("ffd8ffe00000", "hex")), ["jpeg", null, null]);
});

test("the first rows of Parquet are a table with types, of all kinds of columns", async () => {
  const buffer = parquetWriteBuffer({
    columnData: [
      { name: "id", data: [1, 2, 3, 4], type: "INT32" },
      { name: "name", data: ["a", "b", null, "d"], type: "STRING" },
      { name: "big", data: [1n, 2n ** 60n, 3n, 4n], type: "INT64" },
      { name: "ok", data: [true, false, true, false], type: "BOOLEAN" },
    ],
  });
  const { content, truncated, note } = await preview(new Uint8Array(buffer), "x.bin");
  assert.ok(content.kind === "table", JSON.stringify(content));
  assert.deepEqual([content.totalRows, content.totalColumns, truncated, note], [4, 4, true, null]);
  assert.deepEqual(
    content.columns.map(({ name }) => name),
    ["id", "name", "big", "ok"],
  );
  assert.deepEqual(content.rows, [
    [1, "a", 1, true],
    [2, "b", "1152921504606846976", false],
    [3, null, 3, true],
  ]);
});

test("Parquet files that lie in any byte end in an answer, in time and with little read", async () => {
  const good = Buffer.from(
    parquetWriteBuffer({
      columnData: [{ name: "a", data: Array.from({ length: 200 }, (_, i) => `v${i % 7}`), type: "STRING" }],
    }),
  );
  assert.match(await noneOf(Buffer.from("PAR1"), "x.parquet"), /Parquet|parquet/);
  assert.match(await noneOf(Buffer.concat([Buffer.from("PAR1"), Buffer.alloc(100), Buffer.from("PAR1")]), "x"), /./);
  const footer = Buffer.from(good);
  footer.writeUInt32LE(0xfffffff0, footer.length - 8);
  assert.match(await noneOf(footer, "x.parquet"), /metadata length/);
  const startedAt = performance.now();
  for (let round = 0; round < 24; round++) {
    const bad = Buffer.from(good);
    // Half of the changes hit the footer, where numbers of rows and sizes are.
    for (let change = 0; change < 3; change++) {
      const at = 4 + ((round * 7919 + change * 104_729) % (bad.length - 12));
      bad[at] = (round * 31 + change * 17) & 0xff;
    }
    const { content } = await preview(bad, "x.parquet");
    assert.ok(["table", "none"].includes(content.kind));
  }
  assert.ok(performance.now() - startedAt < 120_000);
});

function npy(header: string): Buffer {
  const length = Buffer.alloc(2);
  length.writeUInt16LE(header.length);
  return Buffer.concat([Buffer.from("\x93NUMPY\x01\x00", "latin1"), length, Buffer.from(header)]);
}

/** A ZIP archive with one compressed member. */
function zip(name: string, content: Buffer, lie: { readonly directory?: number } = {}): Buffer {
  const data = deflateRawSync(content);
  const local = Buffer.alloc(30);
  local.writeUInt32LE(0x04034b50, 0);
  local.writeUInt16LE(8, 8);
  local.writeUInt16LE(name.length, 26);
  const central = Buffer.alloc(46);
  central.writeUInt32LE(0x02014b50, 0);
  central.writeUInt16LE(8, 10);
  central.writeUInt32LE(data.length, 20);
  central.writeUInt16LE(name.length, 28);
  const end = Buffer.alloc(22);
  end.writeUInt32LE(0x06054b50, 0);
  end.writeUInt32LE(46 + name.length, 12);
  end.writeUInt32LE(lie.directory ?? 30 + name.length + data.length, 16);
  return Buffer.concat([local, Buffer.from(name), data, central, Buffer.from(name), end]);
}

test("NumPy arrays say type and shape, in archives too, and bombs and lies are refused", async () => {
  const header = npy("{'descr': '<f8', 'fortran_order': False, 'shape': (3, 4), }          \n");
  const facts = { name: "x.npy", dtype: "<f8", shape: [3, 4], fortranOrder: false };
  assert.deepEqual((await preview(header, "x.npy")).content, {
    ...{ kind: "arrays", format: "npy", arrays: [facts], total: 1 },
  });
  const archive = await preview(zip("weights.npy", Buffer.concat([header, Buffer.alloc(96)])), "x.npz");
  assert.deepEqual(archive.content, {
    ...{ kind: "arrays", format: "npz", arrays: [{ ...facts, name: "weights" }], total: 1 },
  });
  assert.match(await noneOf(npy("os.system('x')"), "x.npy"), /does not say type and shape/);
  assert.match(
    await noneOf(npy("{'descr': '<f8', 'fortran_order': False, 'shape': (9e9, 99999999999999999999,)}"), "x.npy"),
    /shape/,
  );
  assert.match(
    await noneOf(zip("bomb.npy", Buffer.alloc(200 * 1024 * 1024)), "x.npz"),
    /cannot be unpacked|not one of NumPy/,
  );
  assert.match(await noneOf(zip("a.npy", header, { directory: 0x7fffffff }), "x.npz"), /outside of itself/);
  assert.match(await noneOf(Buffer.from("PK\x03\x04 nothing else"), "x.npz"), /no directory/);
  const other = await preview(zip("a.txt", Buffer.from("x")), "x.zip");
  assert.ok(other.content.kind === "binary" && /ZIP/.test(other.content.type!));
});

test("anything else is named by its first bytes, and a pickle is never loaded", async () => {
  const type = async (bytes: Buffer) => {
    const { content } = await preview(bytes, "x.bin");
    return content.kind === "binary" ? content.type : content.kind;
  };
  assert.match((await type(Buffer.from([0x80, 4, 0x95, 0, 0])))!, /pickle: it can run any code/);
  assert.equal(await type(Buffer.from("SQLite format 3\0")), "SQLite database");
  assert.equal(await type(Buffer.from("%PDF-1.7\n")), "PDF");
  assert.equal(await type(Buffer.from([0x1f, 0x8b, 8, 0])), "gzip");
  assert.equal(await type(Buffer.from([0, 1, 2, 3])), null);
});

test("of a file of any size only its beginning is read, and a file that needs more says so", async () => {
  const head = Buffer.from(`a,b\n${"1,2\n".repeat(100_000)}`);
  const large = readingOf(head, undefined, 10 * 2 ** 40);
  const { content } = await previewFile(large.reader, { fileName: "x.csv", contentType: "" }, 20);
  assert.equal(content.kind, "table");
  assert.equal(large.bytesRead, 256 * 1024);
  const lying = Buffer.concat([Buffer.from("PAR1"), Buffer.alloc(300 * 1024)]);
  const poor = readingOf(lying, 257 * 1024);
  const none = await previewFile(poor.reader, { fileName: "x.parquet", contentType: "" }, 20);
  assert.match(none.content.kind === "none" ? none.content.why : "", /more of it would have to be read/);
});
