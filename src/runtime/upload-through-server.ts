import { createReadStream } from "node:fs";
import type { Readable } from "node:stream";
import { BerthError } from "../protocol/errors.ts";
import type { UploadState } from "../protocol/transfers.ts";

/** Read ahead of the network, for each upload under way. */
const READ_BYTES = 1024 * 1024;
/** Damage on the way is rare and by chance, so it does not happen three times in a row; a damaged file does. */
const MISMATCHES_MAX = 3;

export interface LocalFile {
  readonly digest: string;
  readonly size: number;
  readonly path: string;
}

/** One try each. */
export interface UploadCalls {
  /** Begins, or says where an unfinished upload of the same is. */
  begin(): Promise<UploadState>;
  /** Returns where the upload is after it. */
  append(upload: string, offset: number, length: number, bytes: Readable): Promise<number>;
  finish(upload: string): Promise<void>;
}

export interface UploadThroughServerOptions {
  /** Tries again what failed for a reason that passes, such as a lost connection. */
  readonly retrying: (work: () => Promise<UploadState>) => Promise<UploadState>;
  /** Hears how many bytes the server has, as they go. */
  readonly onSent?: (bytes: number) => void;
}

/**
 * Sends a file as a blob, as one request where nothing goes wrong; after a cut it goes on at the byte that the server
 * has. Returns `stored`, or another way that the server asks for.
 */
export async function uploadThroughServer(
  file: LocalFile,
  calls: UploadCalls,
  { retrying, onSent = () => {} }: UploadThroughServerOptions,
): Promise<UploadState> {
  let mismatches = 0;
  return await retrying(async () => {
    const state = await calls.begin();
    if (state.way !== "server") return state;
    onSent(state.offset);
    try {
      if (state.offset < file.size) await appendRest(file, state, calls, onSent);
      await calls.finish(state.upload);
      return { way: "stored" };
    } catch (error) {
      throw againOrNot(error, () => ++mismatches < MISMATCHES_MAX);
    }
  });
}

async function appendRest(
  { path, size }: LocalFile,
  { upload, offset }: { readonly upload: string; readonly offset: number },
  calls: UploadCalls,
  onSent: (bytes: number) => void,
): Promise<void> {
  const bytes = createReadStream(path, { start: offset, highWaterMark: READ_BYTES });
  let sent = offset;
  // Listening would make it flow before whoever sends it is ready.
  bytes.pause();
  bytes.on("data", (chunk) => {
    sent += chunk.length;
    onSent(sent);
  });
  try {
    await calls.append(upload, offset, size - offset, bytes);
  } finally {
    bytes.destroy();
  }
}

/** Where the upload is elsewhere than was thought, or is no more, to begin it again says where it is. */
function againOrNot(error: unknown, mayDiffer: () => boolean): unknown {
  if (!(error instanceof BerthError)) return error;
  const isElsewhere = error.code === "sequence_gap" || error.code === "not_found" || error.code === "conflict";
  if (!isElsewhere && !(error.code === "digest_mismatch" && mayDiffer())) return error;
  return new BerthError("unavailable", error.message, { cause: error });
}
