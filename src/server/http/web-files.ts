import { createHash } from "node:crypto";
import { readdirSync, readFileSync } from "node:fs";
import { extname, join } from "node:path";
import { promisify } from "node:util";
import { brotliCompress } from "node:zlib";
import type { FastifyReply, FastifyRequest } from "fastify";

const compress = promisify(brotliCompress);

/** What a page may do: load what this server has, and ask this server. No frame may show it. */
const PAGE_POLICY = [
  "default-src 'none'",
  "script-src 'self'",
  "style-src 'self'",
  "img-src 'self' data:",
  "font-src 'self'",
  "connect-src 'self'",
  "worker-src 'self'",
  "manifest-src 'self'",
  "base-uri 'none'",
  "form-action 'self'",
  "frame-ancestors 'none'",
].join("; ");

const TYPES: Readonly<Record<string, string>> = {
  ".html": "text/html; charset=utf-8",
  ".js": "text/javascript; charset=utf-8",
  ".css": "text/css; charset=utf-8",
  ".svg": "image/svg+xml",
  ".woff2": "font/woff2",
};

/** Files of this folder have a hash of their bytes in their name. */
const HASHED = "/assets/";

interface WebFile {
  readonly path: string;
  readonly bytes: Buffer;
  readonly etag: string;
  readonly type: string;
  /** Made when it is asked for first. */
  compressed: Promise<Buffer> | null;
}

/** The built web UI: a few files, kept in memory. A path that is no file is a page, which the program in it draws. */
export class WebFiles {
  readonly #files: ReadonlyMap<string, WebFile>;

  private constructor(files: ReadonlyMap<string, WebFile>) {
    this.#files = files;
  }

  /** Null where nothing was built. */
  static read(folder: string): WebFiles | null {
    const files = new Map<string, WebFile>();
    for (const entry of listFiles(folder)) {
      const type = TYPES[extname(entry)];
      if (type === undefined) continue;
      const path = `/${entry.replaceAll("\\", "/")}`;
      const bytes = readFileSync(join(folder, entry));
      const etag = `"${createHash("sha256").update(bytes).digest("base64url").slice(0, 22)}"`;
      files.set(path, { path, bytes, etag, type, compressed: null });
    }
    return files.has("/index.html") ? new WebFiles(files) : null;
  }

  /** Whether it answered; what is not for it is left alone. */
  async answer(request: FastifyRequest, reply: FastifyReply): Promise<boolean> {
    const path = request.url.split("?")[0]!;
    if ((request.method !== "GET" && request.method !== "HEAD") || path === "/api" || path.startsWith("/api/"))
      return false;
    const file = this.#files.get(path) ?? (extname(path) === "" ? this.#files.get("/index.html")! : null);
    if (file === null) return false;
    reply.header("content-security-policy", PAGE_POLICY);
    reply.header("cross-origin-opener-policy", "same-origin");
    reply.header("cache-control", file.path.startsWith(HASHED) ? "public, max-age=31536000, immutable" : "no-cache");
    reply.header("etag", file.etag).header("vary", "accept-encoding").type(file.type);
    if (request.headers["if-none-match"] === file.etag) {
      await reply.code(304).send();
      return true;
    }
    if (/\bbr\b/.test(request.headers["accept-encoding"] ?? "")) {
      file.compressed ??= compress(file.bytes);
      reply.header("content-encoding", "br");
      await reply.code(200).send(await file.compressed);
    } else await reply.code(200).send(file.bytes);
    return true;
  }
}

function listFiles(folder: string): string[] {
  try {
    const entries = readdirSync(folder, { recursive: true, withFileTypes: true });
    return entries
      .filter((entry) => entry.isFile())
      .map(({ parentPath, name }) => join(parentPath, name).slice(folder.length + 1));
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return [];
    throw error;
  }
}
