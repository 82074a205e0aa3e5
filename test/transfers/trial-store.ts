import { join } from "node:path";
import { startS3Server } from "../setup/s3-server.ts";
import type { StoreFiles } from "./store-state.ts";

/** The object store of a trial, and where its files are to be seen. */
export interface TrialStore {
  /** What tells the servers which store is theirs. */
  readonly serverEnv: Readonly<Record<string, string>>;
  readonly storeFiles: StoreFiles;
}

/** A folder below the trial's own, or two buckets of a server that the trial starts. */
export async function trialStore(name: string, folder: string, owned: AsyncDisposableStack): Promise<TrialStore> {
  if (name === "folder") {
    const place = join(folder, "objects");
    return {
      serverEnv: {},
      storeFiles: { objects: [join(place, "objects")], unfinished: [join(place, "unfinished")] },
    };
  }
  const s3 = owned.use(await startS3Server());
  const [main, large] = [await s3.makeBucket(), await s3.makeBucket()];
  const url = (bucket: string) => `s3://${bucket}/trial?endpoint=${s3.endpoint}&region=${s3.region}`;
  return {
    serverEnv: { ...s3.env, BERTH_OBJECTS: url(main), BERTH_LARGE_OBJECTS: url(large) },
    storeFiles: {
      objects: [main, large].map((bucket) => join(s3.folder, bucket, "trial")),
      unfinished: [main, large].map((bucket) => join(s3.folder, bucket, ".sgwtmp")),
    },
  };
}
