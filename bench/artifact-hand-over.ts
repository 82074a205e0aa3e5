import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { StepRun } from "../src/protocol/resources.ts";
import { ensureDocker, testImage } from "../test/setup/docker.ts";
import { elapsedMs, interleaved, spread } from "./measure.ts";
import { Platform } from "./platform.ts";
import { spawnOnce } from "./raw.ts";
import type { Finding } from "./report.ts";

const GIB = 1024 ** 3;

/** What the hand-over itself may take, whatever the size. */
const HAND_OVER_MAX_MS = 50;

/**
 * 1 GiB from one step to the next on the same worker, against `cp` and `sha256sum` of the same bytes.
 *
 * Two things are measured. *Taking the output*: from the end of the step until its bytes are hashed and are a blob of the
 * worker's cache; that grows with the size, as SHA-256 does on one core, and comes first because the digest is what the
 * journal, the lineage and the cache keys of later steps name: a step that had begun on bytes without one could not be
 * taken up after a crash. *The hand-over*: from there until the bytes are in place as the input of the next step, which is
 * a hard link and takes the same at any size.
 */
export async function artifactHandOver(rounds: number): Promise<Finding> {
  const folder = mkdtempSync(join(tmpdir(), "berth-bench-cp-"));
  try {
    await using _docker = await ensureDocker();
    const image = await testImage();
    await using platform = await Platform.start();
    await spawnOnce(["dd", "if=/dev/urandom", "of=source", "bs=1M", `count=${GIB / 1024 ** 2}`], folder);
    const phases = { outputs: [] as number[], inputs: [] as number[], committed: [] as number[] };
    const series = await interleaved(
      {
        cp: () => elapsedMs(() => spawnOnce(["cp", "source", "copy"], folder)),
        "cp and sha256sum": () =>
          elapsedMs(async () => {
            await spawnOnce(["cp", "source", "copy"], folder);
            await spawnOnce(["sha256sum", "copy"], folder);
          }),
        Berth: async () => {
          const { run, wallMs } = await platform.run(pipeline(image), "docker");
          const { items } = await platform.get<{ items: StepRun[] }>(`/runs/${run.id}/steps`);
          phases.outputs.push(items[0]!.attempts[0]!.phases.outputs!);
          phases.inputs.push(items[1]!.attempts[0]!.phases.inputs!);
          phases.committed.push(wallMs);
          return phases.outputs.at(-1)! + phases.inputs.at(-1)!;
        },
      },
      rounds,
    );
    const handOverMs = spread(phases.inputs.slice(-rounds)).median;
    const median = (values: readonly number[]) => spread(values.slice(-rounds)).median;
    const of = (name: string) => spread(series.get(name)!.values).median;
    return {
      title: "1 GiB from one step to the next",
      table: [
        ["what", "ms"],
        ["`cp`", of("cp").toFixed(0)],
        ["`cp` and `sha256sum`", of("cp and sha256sum").toFixed(0)],
        ["Berth: output hashed and taken into the worker's cache", median(phases.outputs).toFixed(0)],
        ["Berth: input of the next step, a hard link", median(phases.inputs).toFixed(1)],
        [
          "Berth: the whole run, written by `dd` from /dev/urandom, until committed in the data store",
          median(phases.committed).toFixed(0),
        ],
      ],
      ratios: [
        { what: "output and hand-over / `cp` and `sha256sum`", value: of("Berth") / of("cp and sha256sum"), atMost: 1 },
        { what: `hand-over / ${HAND_OVER_MAX_MS} ms`, value: handOverMs / HAND_OVER_MAX_MS, atMost: 1 },
      ],
    };
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

function pipeline(image: string): object {
  return {
    name: "hand-over",
    environment: { image },
    steps: {
      make: { run: "dd if=/dev/urandom of=$BERTH_OUT/blob bs=1M count=1024 2>/dev/null", outputs: { blob: "blob" } },
      take: { run: "test -s $BERTH_INPUT_BLOB", inputs: { blob: "make.blob" } },
    },
  };
}
