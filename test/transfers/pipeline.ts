/** What the interrupted run makes, hands over and reads back. */
export interface Sizes {
  readonly bigBytes: number;
  readonly files: number;
}

/** Makes the bytes of a trial its own, so that nothing of them is in a store already. */
export interface Made extends Sizes {
  /** 32 hexadecimal digits. */
  readonly key: string;
  /** Folder of a Python that has pandas, by which a frame is handed over as well; null where there is none. */
  readonly pandas: string | null;
}

/** Between the steps that make and those that take. */
export const HAND_OVER_STEP = "hand-over";

const FILE_BYTES = 100;
const FILES_PER_FOLDER = 1_000;

/**
 * Each maker writes its bytes and, beside them, their digest as it took it itself; each taker, which may be on another
 * worker, takes the digest of what it was given, and ends with a business error where they differ.
 */
export function transferPipeline({ bigBytes, files, key, pandas }: Made): object {
  const random = (iv: string) => `openssl enc -aes-128-ctr -K ${key} -iv ${iv} </dev/zero 2>/dev/null`;
  const folders = Math.ceil(files / FILES_PER_FOLDER);
  return {
    name: "transfers",
    environment: { image: "none", source: "." },
    steps: {
      big: {
        run: `${random("00")} | head -c ${bigBytes} >"$BERTH_OUTPUT_BYTES"
${digestOfFile("$BERTH_OUTPUT_BYTES")} >"$BERTH_OUTPUT_DIGEST"`,
        outputs: { bytes: { path: "bytes", type: "file" }, digest: { path: "digest", type: "file" } },
      },
      many: {
        run: `mkdir "$BERTH_OUTPUT_TREE"; cd "$BERTH_OUTPUT_TREE"; left=${files}
for folder in $(seq ${folders}); do
  count=$((left < ${FILES_PER_FOLDER} ? left : ${FILES_PER_FOLDER})); left=$((left - count))
  mkdir "$folder"
  ${random('"$(printf %032x "$folder")"')} | head -c $((count * ${FILE_BYTES})) | (cd "$folder"; split -b ${FILE_BYTES} -a 4 -d - file-)
done
${digestOfTree("$BERTH_OUTPUT_TREE")} >"$BERTH_OUTPUT_DIGEST"`,
        outputs: { tree: { path: "tree", type: "folder" }, digest: { path: "digest", type: "file" } },
      },
      // Whoever runs again from here makes nothing anew, and reads everything.
      [HAND_OVER_STEP]: { needs: ["big", "many", ...(pandas === null ? [] : ["frame"])], run: "true" },
      "big-taken": {
        needs: [HAND_OVER_STEP],
        run: `${digestOfFile("$BERTH_INPUT_BYTES")} | cmp - "$BERTH_INPUT_DIGEST" || exit 65`,
        inputs: { bytes: "big.bytes", digest: "big.digest" },
      },
      "many-taken": {
        needs: [HAND_OVER_STEP],
        run: `[ "$(find "$BERTH_INPUT_TREE"/ -type f | wc -l)" = ${files} ] || exit 65
${digestOfTree("$BERTH_INPUT_TREE")} | cmp - "$BERTH_INPUT_DIGEST" || exit 65`,
        inputs: { tree: "many.tree", digest: "many.digest" },
      },
      ...(pandas === null ? {} : frameSteps(pandas)),
    },
  };
}

/** A pandas frame, handed from function to function as parquet. */
function frameSteps(python: string): object {
  const env = { PATH: `${python}/bin:/usr/local/bin:/usr/bin:/bin` };
  return {
    frame: { python: "frames:make", env, outputs: { frame: { type: "parquet" } } },
    "frame-taken": { needs: [HAND_OVER_STEP], python: "frames:take", env, inputs: { frame: "frame.frame" } },
  };
}

/** The module that these steps call: what the frame holds follows from its size alone. */
export const FRAMES_PY = `import berth
import numpy as np
import pandas as pd

ROWS = 2_000_000


def make() -> pd.DataFrame:
    numbers = np.random.default_rng(7)
    return pd.DataFrame({"id": np.arange(ROWS), "value": numbers.random(ROWS)})


def take(frame: pd.DataFrame):
    if not frame.equals(make()):
        raise berth.BusinessError("the frame is not the one that was made")
`;

function digestOfFile(path: string): string {
  return `sha256sum <"${path}"`;
}

/** Of names and bytes, in an order that no file system decides. */
function digestOfTree(path: string): string {
  return `(cd "${path}"/ && find . -type f -print0 | LC_ALL=C sort -z | xargs -0 sha256sum | sha256sum)`;
}
