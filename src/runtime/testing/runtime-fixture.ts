import { hash, randomUUID } from "node:crypto";
import { writeFileSync } from "node:fs";
import { mkdtemp } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { BackendSession, ExecutionBackend } from "../../backends/execution-backend.ts";
import type { Content } from "../../protocol/artifacts.ts";
import { removeTree } from "../../std/remove-tree.ts";
import type { AttemptWork, RuntimeContext } from "../attempt-work.ts";
import { BlobCache } from "../blob-cache.ts";
import type { BlobFetcher } from "../blob-fetcher.ts";

export interface RuntimeFixture<B extends ExecutionBackend> extends AsyncDisposable {
  readonly root: string;
  readonly backend: B;
  readonly cache: BlobCache;
  readonly context: RuntimeContext;
  /** A context of a new process: another session on the same platform, the same cache folder. */
  reopen(): Promise<RuntimeContext>;
  work(more?: Partial<AttemptWork>): AttemptWork;
  /** Puts a file's bytes into the cache. */
  store(bytes: string, fileName?: string): Promise<Content>;
}

export const LIMITS = { outputBytesMax: 64 * 1024 * 1024, outputEntriesMax: 1_000 };

/** What a fetcher is where nothing may be fetched. */
const fetchesNothing: BlobFetcher = (digest) => {
  throw new Error(`unexpected fetch of ${digest}`);
};

export interface FixtureOptions {
  readonly fetchBlob?: BlobFetcher;
  readonly limits?: RuntimeContext["limits"];
  readonly mask?: RuntimeContext["mask"];
}

/** A runtime on a backend, with its cache and attempt folders in a folder that goes with it. */
export async function runtimeFixture<B extends ExecutionBackend>(
  backend: B,
  options: FixtureOptions = {},
): Promise<RuntimeFixture<B>> {
  const root = await mkdtemp(join(tmpdir(), "berth-runtime-"));
  // Its own, because attempts of two test files have the same names, and the files run side by side on one engine.
  const installation = `test-${randomUUID()}`;
  const sessions: BackendSession[] = [];
  const open = async (): Promise<RuntimeContext & { readonly blobs: BlobCache }> => {
    const session = await backend.open({ installation, stateFolder: join(root, "state"), settings: {} });
    sessions.push(session);
    const { capabilities } = await session.probe();
    const blobs = await BlobCache.open({ folder: join(root, "cache"), budgetBytes: 2 ** 40 });
    const cache = blobs.sourceOf(options.fetchBlob ?? fetchesNothing);
    return {
      session,
      capabilities,
      cache,
      limits: options.limits ?? LIMITS,
      mask: options.mask ?? ((text) => text),
      blobs,
    };
  };
  const context = await open();
  return {
    root,
    backend,
    context,
    cache: context.blobs,
    reopen: open,
    work: (more = {}) => ({ ...plainWork(join(root, "attempt")), ...more }),
    store: (bytes, fileName = "data.csv") =>
      store(context.blobs, join(root, `stored-${randomUUID()}`), bytes, fileName),
    [Symbol.asyncDispose]: async () => {
      for (const session of sessions) await session[Symbol.asyncDispose]();
      await removeTree(root);
    },
  };
}

async function store(cache: BlobCache, file: string, bytes: string, fileName: string): Promise<Content> {
  const digest = hash("sha256", bytes);
  const size = Buffer.byteLength(bytes);
  writeFileSync(file, bytes);
  await cache.adopt(file, digest, size);
  return { kind: "file", digest, size, fileName, contentType: "text/csv", fileCount: 1 };
}

function plainWork(folder: string): AttemptWork {
  return {
    ref: { run: "run_1", stepRun: "train", attempt: 1, scope: "run_1" },
    spec: {
      image: null,
      argv: ["true"],
      env: {},
      workingFolder: null,
      folder,
      mounts: [],
      network: "run",
      limits: { cpus: null, memoryBytes: null, pids: 512 },
      labels: {},
    },
    inputs: [],
    outputs: {},
    timeoutMs: null,
    graceMs: 1_000,
    imageDigest: null,
    runEnd: null,
  };
}
