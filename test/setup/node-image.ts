import { execFile } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { testImage } from "./docker.ts";

const run = promisify(execFile);

/**
 * The name of an image with the Node of these tests beside busybox. Made once per engine and version of Node, from this
 * machine's own files, so that no registry is needed.
 */
export async function testNodeImage(): Promise<string> {
  const image = `berth-test/node:${process.version}`;
  const base = await testImage();
  if (await isThere(image)) return image;
  const folder = mkdtempSync(join(tmpdir(), "berth-test-node-"));
  try {
    // ldd names each library with its path, and the loader by its path alone.
    const script = `
      set -e
      mkdir -p bin && cp "$1" bin/node
      for library in $(ldd "$1" | grep -o '/[^ ]*'); do mkdir -p ".$(dirname "$library")" && cp -L "$library" ".$library"; done
      container=$(docker create "$2" true)
      docker export "$container" | tar -x
      docker rm "$container" >/dev/null
      tar -c . | docker import --change 'ENV PATH=/bin' - "$3"`;
    await run("sh", ["-c", script, "sh", process.execPath, base, image], { cwd: folder });
    return image;
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

async function isThere(image: string): Promise<boolean> {
  return run("docker", ["image", "inspect", image]).then(
    () => true,
    () => false,
  );
}
