import { createHash, randomUUID } from "node:crypto";
import { once } from "node:events";
import { createServer, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { Readable } from "node:stream";
import { buffer } from "node:stream/consumers";
import { pack } from "tar-stream";

type Answer = "image" | "another-image" | "foreign-image" | { readonly status: number; readonly code: string };

/** One that no worker has. */
export const FOREIGN_ARCHITECTURE = "s390x";

/** A registry on this machine, which the engine talks to without TLS. It serves tiny images, or refuses. */
export interface FakeRegistry extends AsyncDisposable {
  /** `127.0.0.1:port`. */
  readonly address: string;
  /** What is said about this repository from now on. */
  answer(repository: string, answer: Answer): void;
  /** How often the manifest of this repository was asked for. */
  asked(repository: string): number;
}

export async function fakeRegistry(): Promise<FakeRegistry> {
  const architecture = process.arch === "x64" ? "amd64" : process.arch;
  const images = {
    image: await tinyImage(architecture),
    "another-image": await tinyImage(architecture),
    "foreign-image": await tinyImage(FOREIGN_ARCHITECTURE),
  };
  const answers = new Map<string, Answer>();
  const asked = new Map<string, number>();
  const server = createServer((request, response) => {
    const path = request.url ?? "";
    if (path === "/v2/") return void response.end("{}");
    const [, repository = "", kind, reference = ""] = /^\/v2\/(.+)\/(manifests|blobs)\/(.+)$/.exec(path) ?? [];
    if (kind === "manifests") asked.set(repository, (asked.get(repository) ?? 0) + 1);
    const answer = answers.get(repository) ?? { status: 404, code: "MANIFEST_UNKNOWN" };
    if (typeof answer === "object") return refuse(response, answer.status, answer.code);
    const image = images[answer];
    const blob = kind === "manifests" ? image.manifest : image.blobs.get(reference);
    if (blob === undefined) return refuse(response, 404, "BLOB_UNKNOWN");
    response.setHeader("content-type", blob.type);
    response.setHeader("docker-content-digest", blob.digest);
    response.setHeader("content-length", blob.bytes.length);
    response.end(request.method === "HEAD" ? undefined : blob.bytes);
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  return {
    address: `127.0.0.1:${(server.address() as AddressInfo).port}`,
    answer: (repository, answer) => void answers.set(repository, answer),
    asked: (repository) => asked.get(repository) ?? 0,
    async [Symbol.asyncDispose]() {
      server.closeAllConnections();
      server.close();
      await once(server, "close");
    },
  };
}

function refuse(response: ServerResponse, status: number, code: string): void {
  response.writeHead(status, { "content-type": "application/json" });
  response.end(JSON.stringify({ errors: [{ code, message: code.toLowerCase().replaceAll("_", " ") }] }));
}

interface Blob {
  readonly type: string;
  readonly digest: string;
  readonly bytes: Buffer;
}

async function tinyImage(architecture: string): Promise<{ manifest: Blob; blobs: Map<string, Blob> }> {
  const tar = pack();
  tar.entry({ name: "hello" }, `hello ${randomUUID()}\n`);
  tar.finalize();
  const layer = toBlob("application/vnd.docker.image.rootfs.diff.tar", await buffer(Readable.from(tar)));
  const rootfs = { type: "layers", diff_ids: [layer.digest] };
  const config = jsonBlob("application/vnd.docker.container.image.v1+json", {
    architecture,
    os: "linux",
    config: {},
    rootfs,
  });
  const manifest = jsonBlob("application/vnd.docker.distribution.manifest.v2+json", {
    schemaVersion: 2,
    mediaType: "application/vnd.docker.distribution.manifest.v2+json",
    config: descriptor(config),
    layers: [descriptor(layer)],
  });
  return { manifest, blobs: new Map([layer, config, manifest].map((entry) => [entry.digest, entry])) };
}

function jsonBlob(type: string, value: object): Blob {
  return toBlob(type, Buffer.from(JSON.stringify(value)));
}

function toBlob(type: string, bytes: Buffer): Blob {
  return { type, bytes, digest: `sha256:${createHash("sha256").update(bytes).digest("hex")}` };
}

function descriptor({ type, digest, bytes }: Blob): object {
  return { mediaType: type, digest, size: bytes.length };
}
