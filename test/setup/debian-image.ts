import { execFile } from "node:child_process";
import { realpathSync } from "node:fs";
import { dirname, join } from "node:path";
import { promisify } from "node:util";
import { ensurePackages } from "./docker.ts";

const run = promisify(execFile);
/** From packages of the distribution's mirror. */
const MAKE_TIMEOUT_MS = 300_000;
const SUITE = "bookworm";

/**
 * The name of an image of a small Debian with its Python and pip, the Node of these tests, npm, and the authorities that
 * this machine trusts: what recipes start from. Made once per engine and version of Node, so that no registry is needed.
 */
export async function testDebianImage(): Promise<string> {
  const image = `berth-test/debian:${SUITE}-node-${process.version}`;
  const isThere = await run("docker", ["image", "inspect", image]).then(
    () => true,
    () => false,
  );
  if (isThere) return image;
  await ensurePackages(["mmdebstrap"], "mmdebstrap");
  const { stdout } = await run("sh", ["-c", "command -v npm"]);
  const npm = join(dirname(realpathSync(stdout.trim())), "..");
  const script = `
    set -e
    mmdebstrap --quiet --variant=minbase --include=python3,python3-pip,ca-certificates,libstdc++6 \
      --customize-hook='cp "$NODE" "$1/usr/local/bin/node"' \
      --customize-hook='mkdir -p "$1/usr/local/lib/node_modules" && cp -r "$NPM" "$1/usr/local/lib/node_modules/npm"' \
      --customize-hook='ln -s ../lib/node_modules/npm/bin/npm-cli.js "$1/usr/local/bin/npm"' \
      --customize-hook='cp /etc/ssl/certs/ca-certificates.crt "$1/etc/ssl/certs/ca-certificates.crt"' \
      "$1" - | docker import --change 'ENV PATH=/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin \
        PIP_CERT=/etc/ssl/certs/ca-certificates.crt SSL_CERT_FILE=/etc/ssl/certs/ca-certificates.crt \
        NODE_EXTRA_CA_CERTS=/etc/ssl/certs/ca-certificates.crt' - "$2"`;
  const env = { ...process.env, NODE: process.execPath, NPM: npm };
  try {
    await run("bash", ["-o", "pipefail", "-c", script, "bash", SUITE, image], { env, timeout: MAKE_TIMEOUT_MS });
  } catch (error) {
    throw new Error("The tests need a mirror of Debian, of which mmdebstrap makes what recipes start from.", {
      cause: error,
    });
  }
  return image;
}
