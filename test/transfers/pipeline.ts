/** What the interrupted run makes, hands over and reads back. */
export interface Sizes {
  readonly bigBytes: number;
  readonly files: number;
}

/** Makes the bytes of a trial its own, so that nothing of them is in a store already. */
export interface Made extends Sizes {
  /** 32 hexadecimal digits. */
  readonly key: string;
  /** Whether the Python that the workers find has pandas. */
  readonly frames: boolean;
}

/** Between the steps that make and those that take. */
export const HAND_OVER_STEP = "hand-over";

const FILE_BYTES = 100;
const FILES_PER_FOLDER = 1_000;

/**
 * Each maker writes its bytes and, beside them, their digest as it took it itself; each taker, which may be on another
 * worker, takes the digest of what it was given, and ends with a business error where they differ.
 */
export function transferPipeline({ bigBytes, files, key, frames }: Made): object {
  const random = (iv: string) => `openssl enc -aes-128-ctr -K ${key} -iv ${iv} </dev/zero 2>/dev/null`;
  const folders = Math.ceil(files / FILES_PER_FOLDER);
  return {
    name: "transfers",
    environment: { image: "none" },
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
      [HAND_OVER_STEP]: { needs: ["big", "many", ...(frames ? ["frame"] : [])], run: "true" },
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
      ...(frames ? frameSteps() : {}),
    },
  };
}

/** A pandas frame, handed from function to function as parquet. */
function frameSteps(): object {
  return {
    frame: { python: "frames:make", outputs: { frame: { type: "parquet" } } },
    "frame-taken": { needs: [HAND_OVER_STEP], python: "frames:take", inputs: { frame: "frame.frame" } },
  };
}

function digestOfFile(path: string): string {
  return `sha256sum <"${path}"`;
}

/** Of names and bytes, in an order that no file system decides. */
function digestOfTree(path: string): string {
  return `(cd "${path}"/ && find . -type f -print0 | LC_ALL=C sort -z | xargs -0 sha256sum | sha256sum)`;
}
