import assert from "node:assert/strict";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type TestContext, test } from "node:test";
import { brotliDecompressSync } from "node:zlib";
import { type TestServer, testServer } from "../../../test/setup/server.ts";
import { ErrorBody } from "../../protocol/errors.ts";
import { allRoutes } from "./routes.ts";
import { WebFiles } from "./web-files.ts";

const INDEX = "<!doctype html><title>Berth</title>";
const SCRIPT = "console.log('a page')\n".repeat(50);

async function webServer(t: TestContext): Promise<TestServer> {
  const folder = mkdtempSync(join(tmpdir(), "berth-web-"));
  t.after(() => rmSync(folder, { recursive: true }));
  mkdirSync(join(folder, "assets"));
  writeFileSync(join(folder, "index.html"), INDEX);
  writeFileSync(join(folder, "assets/page-abc.js"), SCRIPT);
  writeFileSync(join(folder, "notes.md"), "not for anybody");
  return await testServer(t, (services) => allRoutes(services, "test"), { web: WebFiles.read(folder) });
}

const get = ({ app }: TestServer, url: string, headers: Record<string, string> = {}) => app.inject({ url, headers });

test("every page is the same file, under a policy that lets in nothing from elsewhere", async (t) => {
  const server = await webServer(t);
  for (const url of ["/", "/runs?state=failed&x=1", "/runs/wine/12", "/index.html"]) {
    const { statusCode, body, headers } = await get(server, url);
    assert.deepEqual([statusCode, body, headers["content-type"]], [200, INDEX, "text/html; charset=utf-8"], url);
    assert.equal(headers["cache-control"], "no-cache");
    assert.match(
      String(headers["content-security-policy"]),
      /^default-src 'none'; script-src 'self';.*frame-ancestors 'none'$/,
    );
    assert.doesNotMatch(String(headers["content-security-policy"]), /unsafe|http|\*/);
    assert.equal(headers["x-content-type-options"], "nosniff");
  }
});

test("a file that has its hash in its name is kept for good, and sent as small as the browser takes it", async (t) => {
  const server = await webServer(t);
  const plain = await get(server, "/assets/page-abc.js");
  assert.deepEqual([plain.body, plain.headers["content-encoding"]], [SCRIPT, undefined]);
  assert.equal(plain.headers["cache-control"], "public, max-age=31536000, immutable");
  const small = await get(server, "/assets/page-abc.js", { "accept-encoding": "gzip, br" });
  assert.equal(small.headers["content-encoding"], "br");
  assert.equal(brotliDecompressSync(small.rawPayload).toString(), SCRIPT);
  const again = await get(server, "/assets/page-abc.js", { "if-none-match": String(plain.headers.etag) });
  assert.deepEqual([again.statusCode, again.body], [304, ""]);
});

test("what is no page is answered as before: files that are not there, the API, and writes", async (t) => {
  const server = await webServer(t);
  const nothing = ["/assets/gone.js", "/notes.md", "/..%2fnotes.md", "/api", "/api/v1/nothing", "/api/other"];
  for (const url of nothing) {
    const { statusCode, json, headers } = await get(server, url);
    assert.deepEqual([statusCode, ErrorBody.parse(json()).error.code], [404, "not_found"], url);
    assert.equal(headers["content-security-policy"], "default-src 'none'; frame-ancestors 'none'");
  }
  const { statusCode } = await server.app.inject({ method: "POST", url: "/runs" });
  assert.equal(statusCode, 404);
});

test("without a built UI there are no pages", async (t) => {
  assert.equal(WebFiles.read(join(tmpdir(), "berth-there-is-no-such-folder")), null);
  const server = await testServer(t, (services) => allRoutes(services, "test"));
  assert.equal((await get(server, "/")).statusCode, 404);
});
