import { chmodSync, createReadStream, createWriteStream } from "node:fs";
import { extname, join } from "node:path";
import { pipeline } from "node:stream/promises";
import { BatchInputError } from "../pipeline/batch-input-error.ts";
import { gather } from "../pipeline/gather.ts";
import { ENTRY_NAME_MAX_BYTES } from "../std/relative-path.ts";
import { makeOpenFolder } from "../std/tree-writer.ts";
import type { GatheredItem, StagedInput } from "./attempt-work.ts";
import { InputInvalidError } from "./input-invalid-error.ts";
import { BLOB_MODE } from "./place-file.ts";
import { type Staging, stageContent } from "./stage-content.ts";

type Gathered = Extract<StagedInput, { kind: "gathered" }>;

/** Puts the outputs of a batch or matrix step at `target`, in item order: joined to one file, or as a folder. */
export async function stageGathered(staging: Staging, input: Gathered, target: string): Promise<void> {
  if (input.gather === "folder") return await stageFolderOf(staging, input.items, target);
  try {
    const joined = gather(input.gather, streamsOf(staging, input.items));
    await pipeline(joined, createWriteStream(target, { flags: "wx" }), { signal: staging.signal });
  } catch (error) {
    if (!(error instanceof BatchInputError)) throw error;
    throw new InputInvalidError(`The input ${input.name} cannot be joined as ${input.gather}: ${error.message}`);
  }
  chmodSync(target, BLOB_MODE);
}

/** The items one by one, each fetched when its turn has come. */
async function* streamsOf(staging: Staging, items: readonly GatheredItem[]): AsyncGenerator<AsyncIterable<Uint8Array>> {
  for (const { key, content } of items) {
    if (content.kind === "folder") throw new InputInvalidError(`The output of ${key} is a folder and cannot be joined`);
    yield createReadStream(await staging.cache.ensure(content.digest, content.size, staging.signal));
  }
}

/** One entry per item: its key, and the extension that its producer gave the file. */
async function stageFolderOf(staging: Staging, items: readonly GatheredItem[], target: string): Promise<void> {
  makeOpenFolder(target);
  for (const item of items) await stageContent(staging, item.content, join(target, entryName(item)));
}

/** A key holds values of the user's matrix, so it may hold anything; what no file name may hold is escaped. */
export function entryName({ key, content }: GatheredItem): string {
  const extension = content.kind === "file" ? extname(content.fileName) : "";
  const name = `${key.replace(/[%/\\\p{Cc}]|^\./gu, escaped)}${extension}`;
  if (Buffer.byteLength(name) <= ENTRY_NAME_MAX_BYTES) return name;
  throw new InputInvalidError(`The matrix combination ${key.slice(0, 100)}… is too long for the name of a file`);
}

function escaped(character: string): string {
  return `%${character.charCodeAt(0).toString(16).padStart(2, "0")}`;
}
