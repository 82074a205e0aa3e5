import { z } from "zod";
import { PipelineFile } from "./schema.ts";

/** The shape of a pipeline file as JSON Schema (2020-12): what an editor completes, explains and underlines. */
export function pipelineJsonSchema(): Record<string, unknown> {
  return {
    ...z.toJSONSchema(PipelineFile, { io: "input", reused: "inline" }),
    $comment: "Written from src/pipeline/schema.ts by `npm run schema`.",
  };
}
