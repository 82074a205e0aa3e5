import assert from "node:assert/strict";
import { chmodSync, existsSync, mkdtempSync, readFileSync, rmSync, utimesSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type TestContext, test } from "node:test";
import { readPolicy } from "../policy/worker-policy.ts";
import { ImageScans } from "./image-scans.ts";

const IMAGE = `sha256:${"a".repeat(64)}`;

function weakness(id: string, Severity: string, more: object = {}) {
  return { VulnerabilityID: id, PkgName: "openssl", InstalledVersion: "1.1.1k", Severity, Title: "…", ...more };
}

function report(...Vulnerabilities: object[]): string {
  const Results = [{ Target: "debian 12", Class: "os-pkgs", Type: "debian", Vulnerabilities }, { Target: "Node.js" }];
  const Metadata = { ImageID: IMAGE, RepoTags: ["tool:1"] };
  return JSON.stringify({ SchemaVersion: 2, ArtifactName: IMAGE, ArtifactType: "container_image", Metadata, Results });
}

/** A worker with this policy, and a script in place of Trivy that prints this and writes down how it was called. */
function worker(t: TestContext, rules: string, says: string, code = 0) {
  const home = mkdtempSync(join(tmpdir(), "berth-scan-"));
  t.after(() => rmSync(home, { recursive: true }));
  const program = join(home, "trivy");
  writeFileSync(join(home, "report"), says);
  const exit = code === 0 ? "" : "echo 'FATAL no database' >&2";
  writeFileSync(program, `#!/bin/sh\necho "$@" >>${home}/calls\ncat ${home}/report\n${exit}\nexit ${code}\n`);
  chmodSync(program, 0o755);
  const read = readPolicy(`images:\n  scan: { ${rules}, program: ${program} }\n`, "policy.yaml");
  assert.ok(read.ok, JSON.stringify(read));
  const scans = new ImageScans({ home, policy: read.policy });
  const look = async (image = IMAGE, signal: AbortSignal = AbortSignal.timeout(10_000)) => {
    let log = "";
    const refused = await scans.refusal(image, (chunk) => (log += Buffer.from(chunk).toString()), signal);
    return { refused, log };
  };
  const calls = () =>
    existsSync(join(home, "calls")) ? readFileSync(join(home, "calls"), "utf8").trim().split("\n") : [];
  const say = (text: string) => writeFileSync(join(home, "report"), text);
  return { home, look, calls, say };
}

const BAD = report(
  weakness("CVE-2024-2", "HIGH"),
  weakness("CVE-2024-1", "CRITICAL", { FixedVersion: "1.1.1w" }),
  weakness("CVE-2024-1", "CRITICAL", { FixedVersion: "1.1.1w" }),
);

test("block refuses an image with findings, the gravest first, with the rule; the scanner is asked as documented", async (t) => {
  const { look, calls } = worker(t, "mode: block", BAD);
  const { refused, log } = await look();
  assert.equal(refused?.code, "image-blocked");
  assert.match(refused.message, /found 2 known weaknesses of severity high or above/);
  assert.match(refused.evidence ?? "", /^policy\.yaml:2: scan: /);
  assert.deepEqual(refused.evidence?.split("\n").slice(1), [
    "critical CVE-2024-1: openssl 1.1.1k, fixed in 1.1.1w",
    "high CVE-2024-2: openssl 1.1.1k, no fixed version is known",
  ]);
  assert.equal(log, "");
  const asked = "image --format json --quiet --scanners vuln --image-src docker --severity HIGH,CRITICAL";
  assert.deepEqual(calls(), [`${asked} ${IMAGE}`]);
});

test("warn tells what was found and lets the image pass; off asks nobody; what is not grave enough does not count", async (t) => {
  const warned = worker(t, "mode: warn, severity: medium, unfixed: ignore", BAD);
  const { refused, log } = await warned.look();
  assert.equal(refused, null);
  assert.match(log, /found 2 known weaknesses of severity medium or above:\ncritical CVE-2024-1/);
  assert.match(warned.calls()[0]!, /--severity MEDIUM,HIGH,CRITICAL --ignore-unfixed sha256:/);
  const off = worker(t, "mode: off", BAD);
  assert.deepEqual([await off.look(), off.calls()], [{ refused: null, log: "" }, []]);
  const fine = worker(
    t,
    "mode: block, severity: critical",
    report(weakness("CVE-1", "HIGH"), weakness("CVE-2", "odd")),
  );
  assert.equal((await fine.look()).refused, null);
});

test("an image is scanned once for all that ask, once a day, and another image by itself", async (t) => {
  const { home, look, calls, say } = worker(t, "mode: block", BAD);
  await Promise.all([look(), look()]);
  assert.equal((await look()).refused?.code, "image-blocked");
  assert.equal(calls().length, 1);
  say(report());
  const file = join(home, "scans", `${"a".repeat(64)}.high.json`);
  const old = new Date(Date.now() - 25 * 3_600_000);
  utimesSync(file, old, old);
  assert.equal((await look()).refused, null, "what was known yesterday is asked for again");
  writeFileSync(file, "[{");
  assert.equal((await look()).refused, null);
  assert.equal(calls().length, 3);
  say(
    report()
      .replace(IMAGE, "x")
      .replace(`"ImageID":"${IMAGE}"`, `"ImageID":"sha256:${"b".repeat(64)}"`),
  );
  assert.equal((await look(`sha256:${"b".repeat(64)}`)).refused, null);
  assert.equal(calls().length, 4);
});

test("an image that could not be scanned is refused by block and told by warn, whatever the reason, and asked for again", async (t) => {
  const cases: readonly (readonly [string, string, number, RegExp])[] = [
    ["it fails", "", 1, /failed \(1\): FATAL no database/],
    ["it says nothing", "", 0, /no report that Berth can read/],
    ["it is of another version", '{"SchemaVersion": 1, "Results": []}', 0, /no report that Berth can read/],
    ["it is of another image", report().replaceAll(IMAGE, `sha256:${"c".repeat(64)}`), 0, /scanned another image/],
  ];
  for (const [what, says, code, why] of cases) {
    const blocked = worker(t, "mode: block", says, code);
    const { refused } = await blocked.look();
    assert.equal(refused?.code, "image-unscanned", what);
    assert.match(refused.evidence ?? "", why, what);
    await blocked.look();
    assert.equal(blocked.calls().length, 2, what);
    const warned = await worker(t, "mode: warn", says, code).look();
    assert.equal(warned.refused, null);
    assert.match(warned.log, why);
  }
});

test("a scanner that is not there is named, and one that hangs ends with the run that waits for it", async (t) => {
  const gone = worker(t, "mode: block", BAD);
  rmSync(join(gone.home, "trivy"));
  assert.match((await gone.look()).refused?.evidence ?? "", /The scanner \/.*\/trivy is not on this worker/);
  const hanging = worker(t, "mode: block", BAD);
  writeFileSync(join(hanging.home, "trivy"), "#!/bin/sh\nexec sleep 60\n");
  const stop = new AbortController();
  const looking = hanging.look(IMAGE, stop.signal);
  setTimeout(() => stop.abort(new Error("the run was stopped")), 100);
  await assert.rejects(looking, /the run was stopped/);
});
