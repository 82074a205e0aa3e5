import { each, gather, matrix, param, pipeline, step } from "berth-sdk";

/** Checked by tsc and never run: what is wired wrongly is an error of its types. */

interface Row {
  name: string;
  score: string;
}
const load = ({ seed }: { seed: number }): { rows: Row[]; count: number } => ({ rows: [], count: seed });
const count = async ({ rows, note = "" }: { rows: Row[]; note?: string }) => rows.length + note.length;
const sum = ({ counts }: { counts: number[] }) => counts.length;
const part = ({ batch }: { batch: Row[] }) => batch.map(({ name }) => name);
const choose = ({ model }: { model: "forest" | "knn" }) => model;
const read = ({ path }: { path: string }) => path;

const OUTPUTS = { outputs: { rows: { type: "csv" }, count: { type: "json" } } } as const;

export default pipeline(
  "types",
  {
    params: {
      seed: 7,
      name: "x",
      model: param.string({ choices: ["forest", "knn"] }),
      rate: { type: "number", default: 1 },
    },
    // @ts-expect-error no key of the pipeline file
    retries: 3,
  },
  ({ params }) => {
    const loaded = step(load, { seed: params.seed }, OUTPUTS);
    const counted = step(count, { rows: loaded.outputs.rows });
    step(count, { rows: loaded.outputs.rows, note: "constant" });
    step(count, { rows: loaded.outputs.rows, note: params.name });
    step(sum, { counts: gather(step(count, { rows: loaded.outputs.rows, note: matrix(["a", "b"]) }), "json") });
    step(part, { batch: each(loaded.outputs.rows, { size: 2 }) });
    step(choose, { model: params.model });
    step(choose, { model: matrix(["forest", "knn"]) });
    step(load, { seed: params.rate }, OUTPUTS);
    step(read, { path: step("files", { run: "x", outputs: { all: "all/" } }) });
    step(() => 1);
    step("last", { command: ["x", 1, true], needs: [counted], inputs: { n: { from: counted, type: "file" } } });

    // @ts-expect-error an output of another type
    step(count, { rows: loaded.outputs.count });
    // @ts-expect-error a parameter of another type
    step(load, { seed: params.name }, OUTPUTS);
    // @ts-expect-error a constant of another type
    step(load, { seed: "7" }, OUTPUTS);
    // @ts-expect-error an argument that is missing
    step(load, {}, OUTPUTS);
    // @ts-expect-error an argument that the function does not take
    step(count, { rows: loaded.outputs.rows, rowz: 1 });
    // @ts-expect-error no output of this name
    step(count, { rows: loaded.outputs.row });
    // @ts-expect-error a step with several outputs stands for none of them
    step(count, { rows: loaded });
    // @ts-expect-error the outputs of a matrix are many, until they are gathered
    step(sum, { counts: step(count, { rows: loaded.outputs.rows, note: matrix(["a"]) }) });
    // @ts-expect-error one output is not gathered
    gather(counted, "json");
    // @ts-expect-error a value that the function does not know
    step(choose, { model: matrix(["forest", "tree"]) });
    // @ts-expect-error a parameter that is not declared
    step(load, { seed: params.sead }, OUTPUTS);
    // @ts-expect-error no key of a step
    step(count, { rows: loaded.outputs.rows }, { needz: [counted] });
    // @ts-expect-error no type of artifacts
    step(load, { seed: params.seed }, { outputs: { rows: { type: "cvs" } } });
    // @ts-expect-error no key of a step
    step("x", { run: "x", comand: ["x"] });
  },
);
