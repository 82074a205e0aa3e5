import { type CliError, usageError } from "../cli-error.ts";

/** Of a version that nothing was found of; `item` is the one that was asked for. */
export function nothingOf(item: string | undefined): CliError {
  return item === undefined
    ? usageError("Nothing of it is committed.")
    : usageError(`It has no item "${item}".`, "`berth artifacts show`, without an item, lists what it has.");
}
