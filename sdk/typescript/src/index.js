// What the code of a step may import: `import { BusinessError, progress } from "berth-sdk"`; and what pipelines are written in.

export { BusinessError } from "./business-error.js";
export { load, save } from "./load-save.js";
export { log } from "./log.js";
export { metric, output, progress } from "./messages.js";
export { param } from "./pipeline/params.js";
export { pipeline, step } from "./pipeline/pipeline.js";
export { each, gather, matrix } from "./pipeline/references.js";
export { batch, context, idempotencyKey, inputPath, outputPath, params, secret, secretBytes } from "./step-context.js";
export { registerType } from "./types/registry.js";
