import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { dirname, resolve } from "node:path";
import { pipelineJsonSchema } from "../src/pipeline/json-schema.ts";
import { typescriptTypes } from "../src/pipeline/typescript-types.ts";

/**
 * Writes what follows from the schema of pipeline files: the JSON Schema for editors, and the types for pipelines that are
 * written in TypeScript. With `--check`, only says whether these files are current.
 */

const root = resolve(import.meta.dirname, "..");
const schema = pipelineJsonSchema();
const files = {
  "schema/pipeline.schema.json": `${JSON.stringify(schema, null, 2)}\n`,
  "sdk/typescript/types/pipeline-file.d.ts": typescriptTypes(schema),
};

for (const [name, current] of Object.entries(files)) {
  const file = resolve(root, name);
  if (!process.argv.includes("--check")) {
    mkdirSync(dirname(file), { recursive: true });
    writeFileSync(file, current);
  } else if (read(file) !== current) {
    process.stderr.write(`${name} is not current: run \`npm run schema\` and commit it.\n`);
    process.exitCode = 1;
  }
}

function read(file: string): string | null {
  try {
    return readFileSync(file, "utf8");
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return null;
    throw error;
  }
}
