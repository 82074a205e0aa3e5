import { execFile } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { testImage } from "./docker.ts";

const run = promisify(execFile);
const IMAGE = "berth-test/perl:2";

/**
 * The name of an image with Debian's perl beside busybox, so that a step can make any system call; and, as images have
 * them, with a shell that belongs to root and is setuid, and a folder of its own that anybody may write to. Made once per engine from this machine's own files.
 */
export async function testPerlImage(): Promise<string> {
  const base = await testImage();
  const isThere = await run("docker", ["image", "inspect", IMAGE]).then(
    () => true,
    () => false,
  );
  if (isThere) return IMAGE;
  const folder = mkdtempSync(join(tmpdir(), "berth-test-perl-"));
  try {
    const script = `
      set -e
      container=$(docker create "$1" true)
      docker export "$container" | tar -x
      docker rm "$container" >/dev/null
      cp /usr/bin/perl bin/perl
      for library in $(ldd /usr/bin/perl | grep -o '/[^ ]*'); do mkdir -p ".$(dirname "$library")" && cp -L "$library" ".$library"; done
      for folder in /usr/lib/*/perl-base; do mkdir -p ".$(dirname "$folder")" && cp -rL "$folder" ".$folder"; done
      mkdir -p var && mkdir -m 1777 var/tmp
      rm bin/su && cp -L bin/busybox bin/su && chmod 4755 bin/su
      echo 'root::0:0:99999:7:::' > etc/shadow && chmod 600 etc/shadow
      tar -c . | docker import --change 'ENV PATH=/bin' - "$2"`;
    await run("sh", ["-c", script, "sh", base, IMAGE], { cwd: folder });
    return IMAGE;
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}
