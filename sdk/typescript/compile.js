// The program that `berth compile` runs for a pipeline in TypeScript or JavaScript: `node compile.js FILE`.

import { compile } from "./src/pipeline/compile.js";

await compile(process.argv[2] ?? "");
// Whatever the user's file has left open.
process.exit(0);
