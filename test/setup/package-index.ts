import { execFileSync } from "node:child_process";
import { hash } from "node:crypto";
import { once } from "node:events";
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { createServer, type Server } from "node:https";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { buffer } from "node:stream/consumers";
import { gzipSync } from "node:zlib";
import { pack } from "tar-stream";
import { TestAuthority } from "./tls-front.ts";

/** What the index has, under these names and in this version alone. */
export const PYTHON_PACKAGE = "berth-test-private";
export const DEBIAN_PACKAGE = "berth-test-private";
export const NODE_PACKAGE = "@berth-test/private";
export const VERSION = "1.0.0";
/** Long ago: installers do not trust what is new. */
const PUBLISHED = new Date("2024-01-01T00:00:00Z");

export interface PackageIndexOptions {
  /** Asked for what the index does not have, so that installers can be had from it as well. */
  readonly upstream: { readonly python: string; readonly node: string };
  /** Who may ask; null for anybody. */
  readonly who: { readonly user: string; readonly password: string; readonly token: string } | null;
}

/**
 * A package index of one Debian, one Python and one Node package, behind TLS and a password or a token, that containers of the engine's
 * bridge reach. Nothing of it is to be had without the right Authorization.
 */
export class PackageIndex implements AsyncDisposable {
  readonly #options: PackageIndexOptions;
  readonly #server: Server;
  readonly #host: string;
  readonly #wheel = makeWheel();
  readonly #deb = makeDeb();
  readonly #tarball: Buffer;
  readonly authority: TestAuthority;
  /** `METHOD path status` of each request. */
  readonly asked: string[] = [];

  private constructor(options: PackageIndexOptions, host: string, tarball: Buffer) {
    this.#options = options;
    this.#host = host;
    this.#tarball = tarball;
    this.authority = new TestAuthority("package index");
    this.#server = createServer(this.authority.issue([host]), (request, response) => {
      this.#answer(request.url!, request.headers.authorization).then(({ status, body, type }) => {
        this.asked.push(`${request.method} ${request.url} ${status}`);
        response.writeHead(status, { "content-type": type, ...(status === 401 && { "www-authenticate": "Basic" }) });
        response.end(body);
      }, response.destroy.bind(response));
    });
  }

  static async start(options: PackageIndexOptions): Promise<PackageIndex> {
    const format = "{{(index .IPAM.Config 0).Gateway}}";
    const host = execFileSync("docker", ["network", "inspect", "bridge", "--format", format], { encoding: "utf8" });
    const index = new PackageIndex(options, host.trim(), await makeTarball());
    index.#server.listen(0, host.trim());
    await once(index.#server, "listening");
    return index;
  }

  get host(): string {
    return `${this.#host}:${(this.#server.address() as AddressInfo).port}`;
  }

  get python(): string {
    return `https://${this.host}/python/simple`;
  }

  get node(): string {
    return `https://${this.host}/node`;
  }

  /** A line of sources.list. */
  get apt(): string {
    return `deb [trusted=yes allow-insecure=yes] https://${this.host}/apt ./`;
  }

  get wheel(): { readonly url: string; readonly sha256: string } {
    return { url: `https://${this.host}/python/${WHEEL}`, sha256: hash("sha256", this.#wheel) };
  }

  get tarball(): { readonly url: string; readonly sha1: string; readonly integrity: string } {
    const integrity = `sha512-${hash("sha512", this.#tarball, "base64")}`;
    return { url: `${this.node}/${NODE_PACKAGE}/-/${TARBALL}`, sha1: hash("sha1", this.#tarball), integrity };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const closed = once(this.#server, "close");
    this.#server.close();
    this.#server.closeAllConnections();
    await closed;
  }

  async #answer(path: string, authorization = ""): Promise<{ status: number; body: Buffer | string; type: string }> {
    const { who, upstream } = this.#options;
    if (who !== null && !proofs(who).includes(authorization)) return answer(401, "who asks?");
    // apt writes the folder of a flat repository into every address.
    const name = decodeURIComponent(path).replace("/./", "/");
    if (name === `/python/simple/${PYTHON_PACKAGE}/`) {
      const { url, sha256 } = this.wheel;
      return answer(200, `<!DOCTYPE html><html><body><a href="${url}#sha256=${sha256}">${WHEEL}</a></body></html>`);
    }
    if (name === `/python/${WHEEL}`) return answer(200, this.#wheel, "application/octet-stream");
    if (name === "/apt/Packages") return answer(200, packagesFile(this.#deb), "text/plain");
    if (name === `/apt/${DEB}`) return answer(200, this.#deb, "application/octet-stream");
    if (name === `/node/${NODE_PACKAGE}`) return answer(200, JSON.stringify(this.#packument()), "application/json");
    if (name === `/node/${NODE_PACKAGE}/-/${TARBALL}`) return answer(200, this.#tarball, "application/octet-stream");
    const [, kind, rest] = /^\/(python|node)\/(?:simple\/)?(.*)$/.exec(name) ?? [];
    if (kind === undefined || rest === undefined) return answer(404, "not here");
    const asked = await fetch(`${upstream[kind as "python" | "node"].replace(/\/$/, "")}/${rest}`);
    return answer(
      asked.status,
      Buffer.from(await asked.arrayBuffer()),
      asked.headers.get("content-type") ?? "text/plain",
    );
  }

  #packument(): object {
    const { url, sha1, integrity } = this.tarball;
    const version = { name: NODE_PACKAGE, version: VERSION, dist: { tarball: url, shasum: sha1, integrity } };
    const time = { [VERSION]: PUBLISHED.toISOString() };
    return { name: NODE_PACKAGE, "dist-tags": { latest: VERSION }, versions: { [VERSION]: version }, time };
  }
}

const MODULE = PYTHON_PACKAGE.replaceAll("-", "_");
const WHEEL = `${MODULE}-${VERSION}-py3-none-any.whl`;
const DEB = `${DEBIAN_PACKAGE}_${VERSION}_all.deb`;
const TARBALL = `private-${VERSION}.tgz`;

function proofs({ user, password, token }: NonNullable<PackageIndexOptions["who"]>): string[] {
  const basic = (text: string) => `Basic ${Buffer.from(text).toString("base64")}`;
  return [basic(`${user}:${password}`), basic(`__token__:${token}`), `Bearer ${token}`];
}

function answer(status: number, body: Buffer | string, type = "text/html") {
  return { status, body, type };
}

function makeWheel(): Buffer {
  const info = `${MODULE}-${VERSION}.dist-info`;
  const files = {
    [`${MODULE}.py`]: 'WORD = "from the private index"\n',
    [`${info}/METADATA`]: `Metadata-Version: 2.1\nName: ${PYTHON_PACKAGE}\nVersion: ${VERSION}\n`,
    [`${info}/WHEEL`]: "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    [`${info}/RECORD`]: `${MODULE}.py,,\n${info}/METADATA,,\n${info}/WHEEL,,\n${info}/RECORD,,\n`,
  };
  const script = `
import io, json, sys, zipfile
out = io.BytesIO()
with zipfile.ZipFile(out, "w") as wheel:
    for name, text in json.load(sys.stdin).items():
        wheel.writestr(zipfile.ZipInfo(name), text)
sys.stdout.buffer.write(out.getvalue())`;
  return execFileSync("python3", ["-c", script], { input: JSON.stringify(files) });
}

const CONTROL = `Package: ${DEBIAN_PACKAGE}
Version: ${VERSION}
Architecture: all
Maintainer: nobody <nobody@example.com>
Description: of a test
`;

function makeDeb(): Buffer {
  const folder = mkdtempSync(join(tmpdir(), "berth-test-deb-"));
  try {
    for (const inside of ["DEBIAN", "usr/share"]) mkdirSync(join(folder, inside), { recursive: true });
    writeFileSync(join(folder, "DEBIAN/control"), CONTROL);
    writeFileSync(join(folder, "usr/share", DEBIAN_PACKAGE), "from the private index\n");
    execFileSync("dpkg-deb", ["--build", "--root-owner-group", folder, `${folder}.deb`], { stdio: "ignore" });
    return readFileSync(`${folder}.deb`);
  } finally {
    rmSync(folder, { recursive: true });
    rmSync(`${folder}.deb`, { force: true });
  }
}

function packagesFile(deb: Buffer): string {
  return `${CONTROL}Filename: ./${DEB}\nSize: ${deb.length}\nSHA256: ${hash("sha256", deb)}\n`;
}

/** The same bytes each time: yarn's lock file has a digest that is made of them. */
async function makeTarball(): Promise<Buffer> {
  const tar = pack();
  const manifest = JSON.stringify({ name: NODE_PACKAGE, version: VERSION, main: "index.js" });
  tar.entry({ name: "package/package.json", mtime: PUBLISHED }, manifest);
  tar.entry({ name: "package/index.js", mtime: PUBLISHED }, 'module.exports = "from the private index";\n');
  tar.finalize();
  return gzipSync(await buffer(tar));
}
