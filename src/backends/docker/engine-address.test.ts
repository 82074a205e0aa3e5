import assert from "node:assert/strict";
import { test } from "node:test";
import { engineAddress } from "./engine-address.ts";

test("the setting goes before DOCKER_HOST", () => {
  const { options, text } = engineAddress("unix:///run/mine.sock", { DOCKER_HOST: "unix:///run/other.sock" });
  assert.deepEqual([options.socketPath, text], ["/run/mine.sock", "unix:///run/mine.sock"]);
  assert.equal(
    engineAddress(undefined, { DOCKER_HOST: "unix:///run/other.sock" }).options.socketPath,
    "/run/other.sock",
  );
});

test("TCP addresses get Docker's ports", () => {
  assert.deepEqual(engineAddress("tcp://127.0.0.1", {}).options, { hostname: "127.0.0.1", port: "2375" });
  assert.deepEqual(engineAddress("tcp://[::1]:99", {}).options, { hostname: "::1", port: "99" });
});

test("an address that cannot be used is refused with what can", () => {
  for (const text of ["ssh://host", "npipe:////./pipe/docker_engine", "nonsense", "file:///x"]) {
    assert.throws(() => engineAddress(text, {}), /give unix:\/\/\/path\/to\/docker\.sock or tcp:\/\/host:port/, text);
  }
});

test("with TLS asked for, missing certificates are an error and never plain text", () => {
  assert.throws(
    () => engineAddress("tcp://h:1", { DOCKER_TLS_VERIFY: "1", DOCKER_CERT_PATH: "/nonexistent" }),
    /ca\.pem/,
  );
});
