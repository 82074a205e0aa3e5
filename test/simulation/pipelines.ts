import { compilePipeline } from "../../src/pipeline/compile.ts";
import type { Plan } from "../../src/protocol/plan.ts";

const head = (name: string) => `name: ${name}\nenvironment: { image: any }\nretry: { max: 2, delay: 1s }\nsteps:\n`;

/** Small pipelines that between them use everything that a lease, a restart or a retry can get wrong. */
export const PIPELINES = {
  chain: `${head("chain")}
  a: { run: x, outputs: { x: { path: x } } }
  b: { run: x, inputs: { x: a.x }, outputs: { y: { path: y } } }
  c: { run: x, inputs: { y: b.y, x: a.x } }
`,
  matrix: `${head("matrix")}
  make: { run: x, outputs: { x: { path: x } } }
  train:
    run: x
    matrix: { model: [one, two, three] }
    inputs: { x: make.x }
    outputs: { m: { path: m } }
  choose: { run: x, inputs: { all: train.m }, outputs: { best: { path: best } } }
`,
  batch: `${head("batch")}
  rows: { run: x, outputs: { rows: { path: rows.txt } } }
  score:
    run: x
    batch: { over: rows.rows, size: 1 }
    outputs: { s: { path: s } }
  report: { run: x, inputs: { all: { from: score.s } } }
`,
  flow: `${head("flow")}
  flag: { run: x, outputs: { flag: { path: flag, type: text }, more: { path: more } } }
  when: { run: x, when: steps.flag.outputs.flag == "yes", outputs: { w: { path: w } } }
  may: { run: x, allow_failure: true, retry: { max: 1, delay: 0s } }
  after: { run: x, needs: [may, flag] }
  tell: { run: x, phase: on_failure }
  tidy: { run: x, phase: finally }
`,
  cached: `${head("cached")}
  make: { run: x, cache: true, outputs: { x: { path: x } } }
  use: { run: x, cache: true, inputs: { x: make.x }, outputs: { y: { path: y } } }
  last: { run: x, inputs: { y: use.y } }
`,
  nested: `${head("nested")}
  rows: { run: x, outputs: { rows: { path: rows.txt } } }
  pick: { run: x, inputs: { rows: rows.rows }, outputs: { rows: { path: rows.txt } } }
  each: { run: x, batch: { over: pick.rows, size: 2 }, fail_fast: true, outputs: { e: { path: e } } }
  other: { run: x, needs: [rows] }
`,
  once: `${head("once").replace("max: 2", "max: 0")}
  rows: { run: x, outputs: { rows: { path: rows.txt } }, retry: { max: 3, delay: 0s } }
  each: { run: x, batch: { over: rows.rows, size: 1, parallel: 3 }, outputs: { e: { path: e } } }
  last: { run: x, inputs: { all: { from: each.e } } }
`,
  limited: `${head("limited")}
  a: { run: x, outputs: { x: { path: x } }, resources: { timeout: 3s } }
  b: { run: x, matrix: { on: [one, two] }, inputs: { x: a.x }, resources: { timeout: 6s }, allow_failure: true }
`,
} as const;

export type PipelineName = keyof typeof PIPELINES;

const plans = new Map<string, Plan>();

export function planOf(text: string): Plan {
  const known = plans.get(text);
  if (known !== undefined) return known;
  const compiled = compilePipeline(text);
  if (!compiled.ok) throw new Error(JSON.stringify(compiled.problems));
  plans.set(text, compiled.plan);
  return compiled.plan;
}
