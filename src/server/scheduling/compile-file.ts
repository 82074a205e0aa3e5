import { type CompileResult, compilePipeline } from "../../pipeline/compile.ts";
import { BerthError } from "../../protocol/errors.ts";

export type CompiledFile = Extract<CompileResult, { ok: true }>;

/** Compiles the pipeline file of a request; throws `invalid_pipeline` with everything that is wrong with it. */
export function compileFile(text: string, fileName: string | undefined): CompiledFile {
  const compiled = compilePipeline(text, { fileName: fileName ?? "pipeline.yaml" });
  if (compiled.ok) return compiled;
  throw new BerthError("invalid_pipeline", "The pipeline is not valid.", { problems: compiled.problems });
}
