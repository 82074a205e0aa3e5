import { gather, matrix, param, pipeline, step } from "berth-sdk";
import { estimate, sample } from "./steps.ts";

// An estimate of π, made side by side. With Docker, or without containers:
//
//   berth run examples/typescript/pipeline.ts
//   berth run examples/typescript/pipeline.ts --backend process --param points=100000
//
// `berth compile examples/typescript/pipeline.ts` prints the pipeline file that it stands for. See docs/typescript.md.

export default pipeline(
  "pi",
  {
    params: { points: param.integer({ default: 1_000_000, description: "Points that each seed draws." }) },
    environment: { image: "node:24-slim", source: "." },
  },
  ({ params }) => {
    const samples = step(sample, { seed: matrix([1, 2, 3, 4]), points: params.points }, { cache: true });
    const estimated = step(estimate, { samples: gather(samples, "json") });
    step("show", { run: 'cat "$BERTH_INPUT_ESTIMATED"', inputs: { estimated } });
  },
);
