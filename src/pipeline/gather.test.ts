import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { indexBatch } from "./batch.ts";
import { gather } from "./gather.ts";

/** Items whose bytes come in pieces; counts how many were open at once. */
function streams(items: readonly string[], size = 3) {
  const open = { now: 0, most: 0, closed: 0 };
  async function* bytes(text: string): AsyncGenerator<Uint8Array> {
    open.most = Math.max(open.most, ++open.now);
    try {
      const all = Buffer.from(text);
      for (let at = 0; at < all.length; at += size) yield all.subarray(at, at + size);
    } finally {
      open.now--;
      open.closed++;
    }
  }
  function* each() {
    for (const item of items) yield bytes(item);
  }
  return { open, each };
}

async function join(format: "lines" | "csv" | "json", items: readonly string[], size = 3): Promise<string> {
  const { open, each } = streams(items, size);
  const chunks: Uint8Array[] = [];
  for await (const chunk of gather(format, each())) chunks.push(chunk);
  assert.ok(open.most <= 1, "one item is open at a time");
  assert.equal(open.closed, items.length);
  return Buffer.concat(chunks).toString();
}

test("lines are joined, and a last line without line break gets one", async () => {
  assert.equal(await join("lines", ["a\nb", "", "c\n"]), "a\nb\nc\n");
  assert.equal(await join("lines", []), "");
});

test("CSV is joined under one header", async () => {
  assert.equal(
    await join("csv", ["id,x\n1,a", 'id,x\r\n2,"b\nc"\r\n', "\ufeffid,x\n", "id,x", ""]),
    'id,x\n1,a\n2,"b\nc"\r\n',
  );
});

test("CSV items with different headers are refused by the item's number", async () => {
  await assert.rejects(join("csv", ["id,x\n1,a\n", "", "id,y\n2,b\n"]), {
    name: "BatchInputError",
    message: 'item 2: its CSV header is another than those before: "id,y", not "id,x"',
  });
});

test("JSON documents become one array, an element for each item", async () => {
  const joined = await join("json", ['{"a": 1}\n', "[1, 2]", ' "x"', "-1.5e3"]);
  assert.deepEqual(JSON.parse(joined), [{ a: 1 }, [1, 2], "x", -1500]);
  assert.deepEqual(JSON.parse(await join("json", [])), []);
});

test("an item that is no JSON document is refused by its number", async () => {
  await assert.rejects(join("json", ["1", '{"a": }']), { name: "BatchInputError", message: /^item 1: .*at byte 6/ });
  await assert.rejects(join("json", ["1", ""]), { message: /^item 1: the file is empty/ });
  await assert.rejects(join("json", ["1 2"]), { message: /^item 0: / });
});

test("streams are closed when a reader stops early or an item is refused", async () => {
  const early = streams(["a\nb\n", "c\n"], 1);
  for await (const _ of gather("csv", early.each())) break;
  assert.equal(early.open.now, 0);
  const refused = streams(["a\n1\n", '"b', "c"], 1);
  await assert.rejects(async () => {
    for await (const _ of gather("csv", refused.each()));
  }, /never closed/);
  assert.equal(refused.open.now, 0);
});

for (const format of ["lines", "csv", "json"] as const) {
  test(`what was split by ${format} is joined to the same content`, async () => {
    const lines = fc.array(fc.string({ unit: fc.constantFrom("a", "b", " ", "ü") }), { maxLength: 20 });
    await fc.assert(
      fc.asyncProperty(
        lines,
        fc.integer({ min: 1, max: 5 }),
        fc.integer({ min: 1, max: 9 }),
        async (texts, size, chunk) => {
          const written = texts.map((text) => `"${text}"`);
          const whole =
            format === "json"
              ? `[${written.join(", ")}]`
              : `${format === "csv" ? "h\n" : ""}${written.map((each) => `${each}\n`).join("")}`;
          const bytes = Buffer.from(whole);
          const [input] = streams([whole], chunk).each();
          const { slices } = await indexBatch(input!, format, size);
          const items = slices.map(
            ({ prefix, start, end, suffix }) => prefix + bytes.subarray(start, end).toString() + suffix,
          );
          const joined = await join(format, items, chunk);
          if (format === "json") assert.deepEqual(JSON.parse(joined).flat(), texts);
          else assert.equal(joined, slices.length === 0 ? "" : whole);
        },
      ),
    );
  });
}
