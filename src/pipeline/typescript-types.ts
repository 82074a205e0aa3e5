/** The part of JSON Schema that a pipeline file's schema is made of. */
interface JsonSchema {
  readonly type?: string | readonly string[];
  readonly description?: string;
  readonly properties?: Readonly<Record<string, JsonSchema>>;
  readonly required?: readonly string[];
  readonly additionalProperties?: boolean | JsonSchema;
  readonly anyOf?: readonly JsonSchema[];
  readonly enum?: readonly unknown[];
  readonly const?: unknown;
  readonly pattern?: string;
  readonly items?: JsonSchema;
}

const HEAD = "// Written from src/pipeline/schema.ts by `npm run schema`: what a pipeline file may hold.\n";

/** The same shape as types of TypeScript, for pipelines that are written as programs. Throws on what it does not know. */
export function typescriptTypes(schema: JsonSchema): string {
  return `${HEAD}\nexport ${declaration("PipelineFile", schema)}`;
}

function declaration(name: string, schema: JsonSchema): string {
  return `interface ${name} ${typeOf(schema, "", [name])}\n`;
}

function typeOf(schema: JsonSchema, indent: string, path: readonly string[]): string {
  if (schema.anyOf !== undefined) return union(schema.anyOf.map((each) => typeOf(each, indent, path)));
  if (schema.const !== undefined) return JSON.stringify(schema.const);
  if (schema.enum !== undefined) return union(schema.enum.map((value) => JSON.stringify(value)));
  if (Array.isArray(schema.type)) return union(schema.type.map((type) => typeOf({ ...schema, type }, indent, path)));
  switch (String(schema.type)) {
    case "string":
      return templateOf(schema.pattern) ?? "string";
    case "integer":
    case "number":
      return "number";
    case "boolean":
      return "boolean";
    case "null":
      return "null";
    case "array":
      return `readonly ${grouped(typeOf(schema.items ?? {}, indent, path))}[]`;
    case "object":
      return objectOf(schema, indent, path);
    default:
      throw new TypeError(`the schema of ${path.join(".")} holds what is not understood: ${JSON.stringify(schema)}`);
  }
}

/** Names with a fixed beginning, such as `x-image`. */
function templateOf(pattern: string | undefined): string | null {
  const beginning = /^\^([a-z]+-)\[/.exec(pattern ?? "")?.[1];
  return beginning === undefined ? null : `\`${beginning}\${string}\``;
}

function objectOf(
  { properties, required = [], additionalProperties }: JsonSchema,
  indent: string,
  path: readonly string[],
) {
  if (properties === undefined) {
    const inner =
      typeof additionalProperties === "object" ? typeOf(additionalProperties, indent, [...path, "*"]) : "unknown";
    return `{ readonly [name: string]: ${inner} }`;
  }
  const deeper = `${indent}  `;
  const lines = Object.entries(properties).flatMap(([name, schema]) => [
    ...(schema.description === undefined ? [] : [`${deeper}/** ${schema.description.replaceAll("*/", "* /")} */`]),
    `${deeper}readonly ${name}${required.includes(name) ? "" : "?"}: ${typeOf(schema, deeper, [...path, name])};`,
  ]);
  return `{\n${lines.join("\n")}\n${indent}}`;
}

function union(types: readonly string[]): string {
  return [...new Set(types)].join(" | ");
}

function grouped(type: string): string {
  return type.includes(" | ") ? `(${type})` : type;
}
