import { mkdtempSync, rmSync } from "node:fs";
import { open } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { elapsedMs, interleaved, spread } from "./measure.ts";
import { Platform, stepsMs } from "./platform.ts";
import { spawnOnce } from "./raw.ts";
import type { Finding } from "./report.ts";

const GIB = 1024 ** 3;
const MIB = 1024 ** 2;

/**
 * 1 GiB that a step has written, from there to committed in a store of folders: against `cp` and `sha256sum` of the same
 * file. The step itself only moves into place what lies ready, so that what counts is the platform's own work.
 */
export async function artifactStore(rounds: number): Promise<Finding> {
  const folder = mkdtempSync(join(tmpdir(), "berth-bench-store-"));
  try {
    await using platform = await Platform.start();
    const source = new Source(folder);
    await source.make();
    const series = await interleaved(
      {
        "cp and sha256sum": async () => {
          await source.change();
          return await elapsedMs(async () => {
            await spawnOnce(["cp", "source", "copy"], folder);
            await spawnOnce(["sha256sum", "copy"], folder);
          });
        },
        Berth: async () => {
          await source.ready();
          return stepsMs((await platform.run(pipeline(source.file), "process")).run);
        },
      },
      rounds,
    );
    const median = (name: string) => spread(series.get(name)!.values).median;
    const [raw, berth] = [median("cp and sha256sum"), median("Berth")];
    return {
      title: "1 GiB into the data store (folder)",
      table: [
        ["what", "ms"],
        ["`cp` and `sha256sum`", raw.toFixed(0)],
        ["Berth: a run whose step hands over the file, until it is committed", berth.toFixed(0)],
      ],
      ratios: [{ what: "speed of `cp` and `sha256sum` that Berth reaches", value: raw / berth, atLeast: 0.8 }],
    };
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

/** A file that is never the same twice: what a store holds already is not stored again. */
class Source {
  readonly #folder: string;
  #round = 0;

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
    await file.write(`round ${this.#round++}`, 0);
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
