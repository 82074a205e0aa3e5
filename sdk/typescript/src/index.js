// What the code of a step may import: `import { BusinessError, progress } from "berth-sdk"`.

export { BusinessError } from "./business-error.js";
export { batch, idempotencyKey, params } from "./facts.js";
export { log } from "./log.js";
export { describeOutput, metric, progress } from "./messages.js";
export { inputPath, outputPath } from "./paths.js";
export { registerType } from "./types/registry.js";
