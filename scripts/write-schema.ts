import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { dirname, resolve } from "node:path";
import { pipelineJsonSchema } from "../src/pipeline/json-schema.ts";

/** Writes the JSON Schema of pipeline files for editors; with `--check`, only says whether the file is current. */

const file = resolve(import.meta.dirname, "../schema/pipeline.schema.json");
const current = `${JSON.stringify(pipelineJsonSchema(), null, 2)}\n`;

if (!process.argv.includes("--check")) {
  mkdirSync(dirname(file), { recursive: true });
  writeFileSync(file, current);
} else if (read() !== current) {
  process.stderr.write("schema/pipeline.schema.json is not current: run `npm run schema` and commit it.\n");
  process.exitCode = 1;
}

function read(): string | null {
  try {
    return readFileSync(file, "utf8");
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return null;
    throw error;
  }
}
