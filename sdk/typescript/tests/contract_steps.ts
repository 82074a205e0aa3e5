import { readdirSync, readFileSync, statSync } from "node:fs";
import { mkdir, readFile, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout } from "node:timers/promises";
import * as berth from "berth-sdk";

/** The behaviours of sdk/contract/README.md in TypeScript. */

class Upper {
  readonly text: string;
  constructor(text: string) {
    this.text = text;
  }
}

berth.registerType<Upper>("x-upper", {
  load: async (path) => new Upper((await readFile(path, "utf8")).toLowerCase()),
  save: (path, value) => writeFile(path, value.text.toUpperCase()),
  describe: (value) => ({ length: value.text.length }),
  contentType: "text/x-upper",
});

type Given = Readonly<Record<string, unknown>>;

export const echo = ({ data }: Given) => data;
export const pair = ({ a, b }: Given) => [a, b];
export const named = ({ a, b }: Given) => ({ b, a });
export const extra = ({ a }: Given) => ({ a, c: 1 });
export const partial = ({ a }: Given) => ({ a });
export const three = () => [1, 2, 3];
export function nothing() {}
export const seven = () => 7;
export const text = () => "x";
export const not_a_number = () => Number.NaN;
export const unwritable = () => () => {};
export const cells = () => [
  { none: null, yes: true, no: false, count: 12, half: 0.5, nan: Number.NaN, quoted: 'a,"b"' },
];
export const nested_cell = () => [{ a: [1] }];
export const broken_line = () => ["a", "b\nc"];
export const values = ({ seed, model, rate = 0.5 }: Given) => ({ seed, model, rate });
export const unknown = ({ nowhere }: Given) => nowhere;
export const maybe = ({ data = "none given" }: Given) => data;
export const part = ({ batch, batchIndex, batchCount }: Given) => ({
  index: batchIndex,
  count: batchCount,
  items: batch,
});
export const part_path = ({ batch }: { batch: string }) => namesIn(batch);

export async function whole_batch() {
  const batch = berth.batch();
  return { index: batch!.index, count: batch!.count, items: await batch!.items() };
}

export const no_batch = () => berth.batch() === null;
export const writes_file = () => writeFile(berth.outputPath("out"), "mine");

export async function returns_path() {
  const path = join(tmpdir(), "made.txt");
  await writeFile(path, "made");
  return path;
}

export async function returns_folder() {
  const folder = join(tmpdir(), "made");
  await mkdir(join(folder, "b"), { recursive: true });
  await writeFile(join(folder, "a.txt"), "1");
  await writeFile(join(folder, "b/c.txt"), "2");
  return folder;
}

export const nowhere_path = () => "nowhere";
export const read_path = ({ data }: { data: string }) => readFileSync(data, "utf8");
export const input_text = () => readFileSync(berth.inputPath("data"), "utf8");
export const secrets = ({ name }: { name: string }) => [berth.secret(name), berth.secretBytes(name).length];
export const with_path = ({ data: _ }: Given) => input_text();
export const names = ({ data }: { data: string }) => namesIn(data);

function namesIn(folder: string): string[] {
  const all = readdirSync(folder, { recursive: true, encoding: "utf8" });
  return all.filter((name) => statSync(join(folder, name)).isFile()).sort();
}

export function business() {
  throw new berth.BusinessError("row 7 has no price");
}

export function silent_business() {
  throw new berth.BusinessError();
}

export function crash() {
  throw new Error("boom");
}

export const exit_with = () => process.exit(3);

export function printed() {
  console.log("one");
  console.log("zwölf");
}

export async function late() {
  await setTimeout(10);
  return "late";
}

export function progressing() {
  berth.progress(0, 3);
  berth.progress(1, 3, "one");
  berth.progress(3, 3);
}

export const progress_words = () => berth.progress("loading");

export function progress_often() {
  for (let done = 0; done <= 2000; done++) berth.progress(done, 2000);
}

export const progress_wrong = () => berth.progress(-1, 3);

export function metrics() {
  berth.metric("auc", 0.93);
  berth.metric("loss", 0.5, { step: 4 });
}

export function metric_nan() {
  berth.metric("loss", Number.NaN);
  berth.metric("auc", 1);
}

export const metric_wrong = () => berth.metric("auc", "high" as unknown as number);

export function logging() {
  berth.log.debug("d");
  berth.log.info("read", { rows: 3 });
  berth.log.warning("zwölf");
  berth.log.error("bad", { why: { a: [1, null] } });
}

export const log_odd = () => berth.log.info("odd", { nan: Number.NaN });
export const log_long = () => berth.log.info("long", { text: "x".repeat(100_000) });

export function described() {
  berth.output("out", { tags: { stage: "trial" }, contentType: "application/x-own" });
  return { a: 1 };
}

export const key = () => berth.idempotencyKey();
export const parameters = () => berth.params();
export const own = () => new Upper("abc");

export function own_echo({ data }: { data: Upper }) {
  if (!(data instanceof Upper)) throw new TypeError(`not what x-upper is: ${data}`);
  return data.text;
}
