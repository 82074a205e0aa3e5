import { readdirSync, readFileSync } from "node:fs";
import { join, resolve } from "node:path";
import fc from "fast-check";
import { stringify } from "yaml";

const bytes = fc.uint8Array({ maxLength: 300 }).map((array) => Buffer.from(array).toString("utf8"));
const word: fc.Arbitrary<string> = fc.constantFrom(
  ..."name steps run needs inputs outputs matrix batch over python command env environment image base params".split(
    " ",
  ),
  ...[
    "a",
    "b",
    "a.b",
    "b.a",
    "x.csv",
    "../x",
    "1",
    "1.10",
    "true",
    "~",
    "yes",
    "${{ params.a }}",
    "${{ matrix.b }}",
    "$${{",
    "",
    "-",
  ],
  ...[
    "constructor",
    "__proto__",
    "default",
    "serial",
    "1GiB",
    "10m",
    "lines",
    "folder",
    "m:f",
    "\u202e",
    "ü",
    "0x1F",
    "1e999",
  ],
);
const signs = fc.constantFrom(
  ": ",
  ":\n  ",
  "- ",
  "\n",
  "\n  ",
  "{",
  "}",
  "[",
  "]",
  ", ",
  "&a ",
  "*a",
  "!!str ",
  "|\n",
  '"',
  "'",
  "#",
  "---\n",
  "\t",
  "? ",
);

/** No YAML, mostly. */
export const randomBytes: fc.Arbitrary<string> = fc.oneof(bytes, fc.string({ unit: "binary", maxLength: 300 }));

/** The words and signs of pipeline files in any order. */
export const randomYaml: fc.Arbitrary<string> = fc
  .array(fc.oneof(word, signs), { maxLength: 80 })
  .map((parts) => parts.join(""));

const tree = fc.letrec<{ any: unknown }>((tie) => ({
  any: fc.oneof(
    { depthSize: "small" },
    word,
    fc.integer(),
    fc.constant(null),
    fc.array(tie("any"), { maxLength: 4 }),
    fc.dictionary(word, tie("any"), { maxKeys: 6 }),
  ),
})).any;
const misfit = fc.record({
  name: word,
  environment: tree,
  params: tree,
  env: tree,
  steps: fc.dictionary(word, tree, { maxKeys: 5 }),
  mode: word,
});

/** YAML and JSON with any value in the place of any other. */
export const randomValues: fc.Arbitrary<string> = fc
  .tuple(misfit, fc.boolean())
  .map(([value, json]) => (json ? JSON.stringify(value) : stringify(value)));

// Mostly a step above, which has the output; now and then something else.
const wanted = fc.oneof({ weight: 12, arbitrary: fc.nat(3) }, { weight: 1, arbitrary: fc.constant(9) });
const optional = <T>(value: fc.Arbitrary<T>) => fc.option(value, { nil: undefined, freq: 1 });
const shape = fc.record({
  run: fc.constantFrom("x", "${{ params.seed }}", "${{ outputs.o }}"),
  needs: optional(wanted),
  matrix: optional(fc.record({ m: fc.uniqueArray(fc.constantFrom("x", 1, true, "y z"), { minLength: 1 }) })),
  batch: optional(fc.record({ over: wanted, format: optional(fc.constantFrom("auto", "lines", "csv", "json")) })),
  input: optional(fc.record({ from: wanted, gather: optional(fc.constantFrom("folder", "csv")) })),
  outputs: fc.constant({ o: "o.csv", p: "p/q.txt" }),
});
const fitting = fc
  .record({
    mode: optional(fc.constantFrom("serial", "parallel")),
    shapes: fc.array(shape, { minLength: 1, maxLength: 5 }),
  })
  .map(({ mode, shapes }) => {
    const above = (index: number, nth: number) => (nth > 3 || index === 0 ? "s9" : `s${nth % index}`);
    const steps = shapes.map(({ run, needs, matrix, batch, input, outputs }, index) => ({
      ...{ run, matrix, outputs },
      ...(needs === undefined || index === 0 ? {} : { needs: [above(index, needs)] }),
      ...(batch === undefined || index === 0 ? {} : { batch: { ...batch, over: `${above(index, batch.over)}.o` } }),
      ...(input === undefined || index === 0
        ? {}
        : { inputs: { i: { ...input, from: `${above(index, input.from)}.p` } } }),
    }));
    const named = Object.fromEntries(steps.map((step, index) => [`s${index}`, step]));
    return { name: "p", mode, params: { seed: 7 }, environment: { image: "x" }, steps: named };
  });

/** Pipelines that compile, or miss it by little. */
export const nearlyRight: fc.Arbitrary<string> = fitting.map((value) => JSON.stringify(value));

const EXAMPLES = resolve(import.meta.dirname, "../../examples");
const LINES_MAX = 400;

/** Pipeline files that people read, as lines. */
const examples: readonly (readonly string[])[] = readdirSync(EXAMPLES, { recursive: true, encoding: "utf8" })
  .filter((name) => /\.ya?ml$/.test(name) && !name.includes("node_modules"))
  .sort()
  .map((name) => readFileSync(join(EXAMPLES, name), "utf8").split("\n").slice(0, LINES_MAX));

const change = fc.record({
  how: fc.constantFrom("drop", "double", "swap", "replace", "insert", "indent", "cut"),
  at: fc.nat(LINES_MAX),
  to: fc.nat(LINES_MAX),
  text: fc.oneof(word, signs),
});
type Change = typeof change extends fc.Arbitrary<infer T> ? T : never;

function changed(lines: readonly string[], { how, at, to, text }: Change): string[] {
  if (lines.length === 0) return [text];
  const [index, other] = [at % lines.length, to % lines.length];
  const line = lines[index] ?? "";
  const column = to % (line.length + 1);
  const put = (...instead: string[]) => lines.toSpliced(index, 1, ...instead);
  switch (how) {
    case "drop":
      return put();
    case "double":
      return put(line, line);
    case "swap":
      return lines.with(index, lines[other]!).with(other, line);
    case "replace":
      return put(line.replace(/[^:\s][^:]*$/, text));
    case "insert":
      return put(line.slice(0, column) + text + line.slice(column));
    case "indent":
      return put(to % 2 === 0 ? `  ${line}` : line.replace(/^ {1,2}/, ""));
    case "cut":
      return lines.slice(0, index).concat(line.slice(0, column));
  }
}

/** The examples with a few things changed: they reach further into the compiler than what is made of nothing. */
export const changedExamples: fc.Arbitrary<string> = fc
  .tuple(fc.constantFrom(...examples), fc.array(change, { minLength: 1, maxLength: 8 }))
  .map(([lines, changes]) => changes.reduce<readonly string[]>(changed, lines).join("\n"));

export const anyPipelineText: fc.Arbitrary<string> = fc.oneof(
  { weight: 1, arbitrary: randomBytes },
  { weight: 2, arbitrary: randomYaml },
  { weight: 2, arbitrary: randomValues },
  { weight: 2, arbitrary: nearlyRight },
  { weight: 5, arbitrary: changedExamples },
);

/** The input of this number: the same for the same seed, whoever makes it. */
export function pipelineText(seed: number, index: number): string {
  return fc.sample(anyPipelineText, { seed: (seed * 0x9e3779b1 + index) | 0, numRuns: 1 })[0]!;
}
