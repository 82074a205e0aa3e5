import { mkdtempSync, rmSync } from "node:fs";
import { open } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { startS3Server } from "../test/setup/s3-server.ts";
import { elapsedMs, interleaved, spread } from "./measure.ts";
import { Platform, stepsMs } from "./platform.ts";
import { isInstalled, spawnOnce } from "./raw.ts";
import type { Finding } from "./report.ts";

const GIB = 1024 ** 3;
const MIB = 1024 ** 2;

/**
 * 1 GiB that a step has written, from there to committed in the data store. The step itself only moves into place what
 * lies ready, so that what counts is the platform's own work: hashed, transferred, checked, synced, named. What was
 * written before is on the disk by then, on both sides: nobody pays for the writes of another.
 */
export async function folderStore(rounds: number): Promise<Finding> {
  return await storing({}, rounds, {
    title: "1 GiB into the data store (folder)",
    tool: "`cp` and `sha256sum`",
    atLeast: 0.8,
    // Each copy is kept, as each blob is: to write over the one before is quicker where memory has to be had first.
    store: async (folder, round) => {
      await spawnOnce(["cp", "source", `copy-${round}`], folder);
      await spawnOnce(["sha256sum", `copy-${round}`], folder);
    },
  });
}

/** The same with a real S3 server on this machine, to which the agent sends by itself. */
export async function s3Store(rounds: number): Promise<Finding> {
  const title = "1 GiB into the data store (S3 on this machine)";
  if (!(await isInstalled("rclone")))
    return { title, table: [], ratios: [], notes: ["Not measured: there is no rclone."] };
  await using s3 = await startS3Server();
  const [own, raw] = [await s3.makeBucket(), await s3.makeBucket()];
  const remote = `:s3,provider=Other,endpoint="${s3.endpoint}",region=${s3.region},force_path_style=true,env_auth=true,no_check_bucket=true`;
  const copied = ["rclone", "copyto", "source", `${remote}:${raw}/source`] as const;
  return await storing(
    { ...s3.env, BERTH_OBJECTS: `s3://${own}?endpoint=${s3.endpoint}&region=${s3.region}` },
    rounds,
    {
      title,
      tool: "`rclone copyto`",
      atLeast: 0.9,
      // Its version of the AWS SDK takes no certificates from the environment, and the server here speaks HTTP.
      store: (folder) => spawnOnce(copied, folder, { ...process.env, ...s3.env, AWS_CA_BUNDLE: "" }),
    },
  );
}

interface Peer {
  readonly title: string;
  readonly tool: string;
  readonly atLeast: number;
  /** Brings the file `source` of this folder to where the tool keeps it. */
  readonly store: (folder: string, round: number) => Promise<void>;
}

async function storing(env: Readonly<Record<string, string>>, rounds: number, peer: Peer): Promise<Finding> {
  const folder = mkdtempSync(join(tmpdir(), "berth-bench-store-"));
  try {
    await using platform = await Platform.start({ env });
    const source = new Source(folder);
    await source.make();
    const series = await interleaved(
      {
        peer: async () => {
          await source.change();
          await spawnOnce(["sync"], folder);
          return await elapsedMs(() => peer.store(folder, source.round));
        },
        Berth: async () => {
          await source.ready();
          await spawnOnce(["sync"], folder);
          return stepsMs((await platform.run(pipeline(source.file), "process")).run);
        },
      },
      rounds,
    );
    const median = (name: string) => spread(series.get(name)!.values).median;
    const [raw, berth] = [median("peer"), median("Berth")];
    return {
      title: peer.title,
      table: [
        ["what", "ms"],
        [peer.tool, raw.toFixed(0)],
        ["Berth: a run whose step hands over the file, until it is committed", berth.toFixed(0)],
      ],
      ratios: [{ what: `speed of ${peer.tool} that Berth reaches`, value: raw / berth, atLeast: peer.atLeast }],
    };
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

/** A file that is never the same twice: what a store holds already is not stored again. */
class Source {
  readonly #folder: string;
  /** How often it was changed. */
  round = 0;

  constructor(folder: string) {
    this.#folder = folder;
  }

  /** Where the step finds it. */
  get file(): string {
    return join(this.#folder, "ready");
  }

  async make(): Promise<void> {
    await spawnOnce(["dd", "if=/dev/urandom", "of=source", "bs=1M", `count=${GIB / MIB}`], this.#folder);
  }

  async change(): Promise<void> {
    await using file = await open(join(this.#folder, "source"), "r+");
    await file.write(`round ${this.round++}`, 0);
  }

  async ready(): Promise<void> {
    await this.change();
    await spawnOnce(["cp", "source", "ready"], this.#folder);
  }
}

function pipeline(file: string): object {
  return {
    name: "store",
    environment: { image: "none" },
    steps: { make: { run: `mv ${file} "$BERTH_OUTPUT_BLOB"`, outputs: { blob: "blob" } } },
  };
}
