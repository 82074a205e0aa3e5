import { type Command, InvalidArgumentError } from "commander";
import { NAME_PATTERN } from "../protocol/names.ts";
import type { PayloadMapping } from "../protocol/triggers.ts";
import { plainText } from "./terminal/plain-text.ts";

/** What becomes of a message, as options say it and as it is shown. */

export interface MappingOptions {
  readonly map?: Record<string, string>;
  readonly when?: string;
}

export function withMapping(command: Command): Command {
  return command
    .option(
      "--map <param=expression>",
      "parameter, and the CEL expression over body that it is; may be repeated",
      collect,
    )
    .option("--when <expression>", "CEL expression over body: without it being true there is no run");
}

function collect(text: string, all: Record<string, string> = {}): Record<string, string> {
  const [name, expression] = [text.split("=", 1)[0]!, text.slice(text.indexOf("=") + 1)];
  if (!text.includes("=") || !NAME_PATTERN.test(name) || expression === "") {
    throw new InvalidArgumentError("It is to be like ref=body.ref.");
  }
  if (Object.hasOwn(all, name)) throw new InvalidArgumentError(`${name} is given more than once.`);
  return { ...all, [name]: expression };
}

/** Rows of two cells. */
export function mappingFacts({ params, when }: PayloadMapping): string[][] {
  return [
    ...Object.entries(params).map(([name, expression]) => [name, plainText(expression)]),
    ...(when === null ? [] : [["when", plainText(when)]]),
  ];
}
