import assert from "node:assert/strict";
import { test } from "node:test";
import { pullFault } from "./image-fault.ts";

/** What engines and registries were seen to say. */
const WORDS: [string, string][] = [
  ["manifest for busybox:nope not found: manifest unknown: manifest unknown", "image-not-found"],
  ["manifest unknown", "image-not-found"],
  ["repository nosuch/image not found: does not exist or no pull access", "image-not-found"],
  ["name unknown: The repository with name 'x' does not exist in the registry", "image-not-found"],
  ["invalid reference format: repository name must be lowercase", "image-not-found"],
  ["pull access denied for nosuch/image, repository does not exist or may require 'docker login'", "image-denied"],
  ["unauthorized: authentication required", "image-denied"],
  ["Head https://ghcr.io/v2/x/manifests/1: denied", "image-denied"],
  ["error parsing HTTP 403 response body: denied: requested access to the resource is denied", "image-denied"],
  ["no matching manifest for linux/arm64/v8 in the manifest list entries", "image-arch"],
  ["write /var/lib/docker/tmp/GetImageBlob1: no space left on device", "stage-io"],
  ["Get https://registry.example/v2/: dial tcp: lookup registry.example: no such host", "image-pull-transient"],
  ["toomanyrequests: You have reached your pull rate limit", "image-pull-transient"],
  ["received unexpected HTTP status: 503 Service Unavailable", "image-pull-transient"],
  ["unexpected EOF", "image-pull-transient"],
];

for (const [words, code] of WORDS) {
  test(`"${words}" is ${code}`, () => {
    const { code: told, evidence, message } = pullFault("some/image:1", words);
    assert.equal(told, code);
    assert.equal(evidence, words);
    assert.match(message, /some\/image:1/);
  });
}
