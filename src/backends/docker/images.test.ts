import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { chmodSync, mkdirSync, readdirSync, readFileSync, symlinkSync, utimesSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { after, test } from "node:test";
import { testImage } from "../../../test/setup/docker.ts";
import type { BackendSession } from "../execution-backend.ts";
import type { ImageRequest, ImageResult } from "../image-request.ts";
import { docker } from "./testing/docker-harness.ts";
import { DockerRig } from "./testing/docker-rig.ts";
import { FOREIGN_ARCHITECTURE, fakeRegistry } from "./testing/fake-registry.ts";

const image = await testImage();
const made: string[] = [];

after(async () => {
  for (const name of made) await docker("rmi", "--force", name).catch(() => {});
});

async function prepare(session: BackendSession, request: ImageRequest): Promise<{ result: ImageResult; log: string }> {
  const chunks: Uint8Array[] = [];
  const result = await session.prepareImage(request, (chunk) => chunks.push(chunk), AbortSignal.timeout(60_000));
  return { result, log: Buffer.concat(chunks).toString() };
}

function ready(name: string): Extract<ImageRequest, { kind: "ready" }> {
  made.push(name);
  return { kind: "ready", image: name };
}

function faultOf({ result }: { result: ImageResult }): string {
  return result.ok ? "none" : result.fault.code;
}

test("an image is pulled once for all who ask at the same time, and is cached afterwards", async () => {
  await using registry = await fakeRegistry();
  await using rig = await DockerRig.open(image);
  registry.answer("good", "image");
  const request = ready(`${registry.address}/good:1`);
  const [first, second] = await Promise.all([prepare(rig.session, request), prepare(rig.session, request)]);
  assert.ok(first.result.ok && second.result.ok, JSON.stringify([first, second]));
  assert.equal(first.result.cached, false);
  assert.match(first.result.digest ?? "", /^sha256:[0-9a-f]{64}$/);
  assert.match(first.log, /Pulling from good/);
  const asked = registry.asked("good");
  const again = await prepare(rig.session, request);
  assert.deepEqual(again.result, { ...first.result, cached: true });
  assert.equal(registry.asked("good"), asked);
});

test("pull: always asks the registry again and takes what the name stands for now; missing and never do not", async () => {
  await using registry = await fakeRegistry();
  await using rig = await DockerRig.open(image);
  registry.answer("moving", "image");
  const name = `${registry.address}/moving:1`;
  const first = (await prepare(rig.session, ready(name))).result;
  registry.answer("moving", "another-image");
  for (const pull of ["missing", "never"] as const) {
    const { result } = await prepare(rig.session, { kind: "ready", image: name, pull });
    assert.deepEqual(result, { ...first, cached: true });
  }
  const { result } = await prepare(rig.session, { kind: "ready", image: name, pull: "always" });
  assert.ok(first.ok && result.ok, JSON.stringify([first, result]));
  assert.notEqual(result.image, first.image);
  assert.equal(result.reference, `${registry.address}/moving@${result.digest}`);
  made.push(first.image);
  const again = await prepare(rig.session, { kind: "ready", image: first.reference!, pull: "missing" });
  assert.deepEqual(
    again.result,
    { ...first, cached: true },
    "the moved name takes nothing from the run that began before",
  );
});

test("pull: never refuses what is not on the worker, also as the base of a build, and asks no registry", async () => {
  await using registry = await fakeRegistry();
  await using rig = await DockerRig.open(image);
  registry.answer("far", "image");
  const name = `${registry.address}/far:1`;
  const plain = await prepare(rig.session, { ...ready(name), pull: "never" });
  const context = (await rig.lay("true")).spec.folder;
  const recipe = { kind: "build", tag: "berth-test/never:1", context, dockerfile: `FROM ${name}\n`, args: {} } as const;
  const built = await prepare(rig.session, { ...recipe, pull: "never", base: name });
  for (const { result } of [plain, built]) {
    assert.ok(!result.ok);
    assert.equal(result.fault.code, "image-not-found");
    assert.match(result.fault.message, /pull: never/);
  }
  assert.equal(registry.asked("far"), 0);
});

test("what a registry refuses is told apart: not found, denied, and what may pass", async () => {
  await using registry = await fakeRegistry();
  await using rig = await DockerRig.open(image);
  registry.answer("missing", { status: 404, code: "MANIFEST_UNKNOWN" });
  registry.answer("private", { status: 403, code: "DENIED" });
  registry.answer("login", { status: 401, code: "UNAUTHORIZED" });
  registry.answer("broken", { status: 503, code: "UNAVAILABLE" });
  const codes: Record<string, string> = {};
  for (const name of ["missing", "private", "login", "broken"]) {
    codes[name] = faultOf(await prepare(rig.session, ready(`${registry.address}/${name}:1`)));
  }
  assert.deepEqual(codes, {
    missing: "image-not-found",
    private: "image-denied",
    login: "image-denied",
    broken: "image-pull-transient",
  });
});

test("a registry that was away gives the image at the next try", async () => {
  await using registry = await fakeRegistry();
  await using rig = await DockerRig.open(image);
  registry.answer("flaky", { status: 500, code: "UNKNOWN" });
  const request = ready(`${registry.address}/flaky:1`);
  assert.equal(faultOf(await prepare(rig.session, request)), "image-pull-transient");
  registry.answer("flaky", "image");
  assert.equal(faultOf(await prepare(rig.session, request)), "none");
});

test("a registry that does not answer is a fault of infrastructure with its address", async () => {
  await using rig = await DockerRig.open(image);
  const { result } = await prepare(rig.session, ready("127.0.0.1:1/nothing:1"));
  assert.ok(!result.ok);
  assert.deepEqual([result.fault.code, result.fault.class], ["image-pull-transient", "infrastructure"]);
  assert.match(result.fault.evidence ?? "", /127\.0\.0\.1:1/);
});

test("what is not even a name of an image is a configuration fault", async () => {
  await using rig = await DockerRig.open(image);
  for (const name of ["Not A Name", "UPPER/case", "..", `sha256:${"0".repeat(64)}`]) {
    const { result } = await prepare(rig.session, { kind: "ready", image: name });
    assert.ok(!result.ok, name);
    assert.equal(result.fault.class, "configuration", `${name}: ${JSON.stringify(result.fault)}`);
  }
});

test("an image of another architecture is refused by name", async () => {
  await using registry = await fakeRegistry();
  await using rig = await DockerRig.open(image);
  registry.answer("foreign", "foreign-image");
  const { result } = await prepare(rig.session, ready(`${registry.address}/foreign:1`));
  assert.ok(!result.ok);
  assert.equal(result.fault.code, "image-arch");
  assert.match(result.fault.message, new RegExp(FOREIGN_ARCHITECTURE));
});

async function build(
  rig: DockerRig,
  dockerfile: string,
  fill: (context: string) => void = () => {},
  args = {},
  more: { readonly target?: string } = {},
) {
  const context = (await rig.lay("true")).spec.folder;
  fill(context);
  const tag = `berth-test/built:${process.pid}-${made.length}`;
  made.push(tag);
  const request = { kind: "build", tag, context, dockerfile, args, ...more } as const;
  return { ...(await prepare(rig.session, request)), request };
}

/** With each of the builders that an engine can have. */
function testBuilds(title: string, check: (rig: DockerRig, builder: "buildkit" | "classic") => Promise<void>): void {
  for (const builder of ["buildkit", "classic"] as const) {
    test(`${title} (${builder})`, async () => {
      await using rig = await DockerRig.open(image, { builder });
      await check(rig, builder);
    });
  }
}

testBuilds(
  "a build gets the whole folder, exactly: modes, links, hidden files, and what .dockerignore names",
  async (rig) => {
    const { result } = await build(
      rig,
      `FROM ${image}\nARG WHO\nCOPY in /in\nRUN echo "hello $WHO" >/greeting\n`,
      writeContext,
      {
        WHO: 'a "b" $c',
      },
    );
    assert.ok(result.ok, JSON.stringify(result));
    const script =
      "cat /greeting; cd /in; stat -c '%a %n' script .dockerignore; readlink link; cat sub/deep; cat big | wc -c";
    const laid = await rig.run(script, { image: result.image });
    assert.equal(
      await rig.log(laid),
      'hello a "b" $c\n755 script\n640 .dockerignore\nsub/deep\nüñí\n3000000\n',
      await rig.log(laid, "stderr"),
    );
  },
);

function writeContext(context: string): void {
  const folder = join(context, "in");
  writeFileSync(join(folder, ".dockerignore"), "*\n");
  chmodSync(join(folder, ".dockerignore"), 0o640);
  writeFileSync(join(folder, "script"), "");
  chmodSync(join(folder, "script"), 0o755);
  mkdirSync(join(folder, "sub"));
  writeFileSync(join(folder, "sub", "deep"), "üñí\n");
  symlinkSync("sub/deep", join(folder, "link"));
  writeFileSync(join(folder, "big"), Buffer.alloc(3_000_000));
  writeFileSync(join(context, ".dockerignore"), "in\n");
}

testBuilds(
  "the Dockerfile of a build is nowhere in its image, and an unchanged build is not made again",
  async (rig) => {
    const dockerfile = `FROM ${image}\nCOPY . /all\nRUN cat /proc/sys/kernel/random/uuid >/made; ls -A /all >/list\n`;
    const write = (context: string) => writeFileSync(join(context, "in", "file"), "x");
    const [first, second] = [await build(rig, dockerfile, write), await build(rig, dockerfile, write)];
    assert.ok(first.result.ok && second.result.ok);
    assert.equal(first.result.image, second.result.image);
    const laid = await rig.run("cat /list", { image: first.result.image });
    assert.equal(await rig.log(laid), "ctl\nin\nout\ntmp\n");
  },
);

testBuilds("a build never takes files of an earlier one for its own, whatever their size and time", async (rig) => {
  const time = new Date("2024-01-01T00:00:00Z");
  for (const content of ["one", "two"]) {
    const { result } = await build(rig, `FROM ${image}\nCOPY in/file /${content}\n`, (context) => {
      writeFileSync(join(context, "in", "file"), content);
      utimesSync(join(context, "in", "file"), time, time);
    });
    assert.ok(result.ok, JSON.stringify(result));
    assert.equal(await rig.log(await rig.run(`cat /${content}`, { image: result.image })), content);
  }
});

testBuilds("a failing build names the failing line and keeps its output as evidence", async (rig, builder) => {
  const { result, log } = await build(rig, `FROM ${image}\nRUN echo fine\nRUN echo broken-part >&2; exit 9\n`);
  assert.ok(!result.ok);
  assert.equal(result.fault.code, "image-build-failed");
  assert.match(result.fault.message, /RUN echo broken-part/);
  assert.match(result.fault.evidence ?? "", /^broken-part$/m);
  assert.match(result.fault.evidence ?? "", builder === "buildkit" ? /exit code: 9/ : /returned a non-zero code: 9/);
  assert.doesNotMatch(result.fault.evidence ?? "", /^fine$/m);
  if (builder === "classic") return assert.match(log, /^Step 2.* RUN echo fine$/m);
  assert.match(log, /^#(\d+) \[2\/\d\] RUN echo fine$.*^#\1 (fine$.*^#\1 DONE|CACHED)/ms);
});

testBuilds("a build that fails half-way leaves no image without a name and no container", async (rig) => {
  const mark = `${process.pid}-${Date.now()}`;
  // Of this test alone: others build at the same time.
  const unnamed = async () => {
    const ids = (await docker("images", "--quiet", "--filter", "dangling=true")).split("\n").filter(Boolean);
    const histories = await Promise.all(ids.map((id) => docker("history", "--no-trunc", id).catch(() => "")));
    return histories.filter((history) => history.includes(mark));
  };
  const dockerfile = `FROM ${image}\nRUN echo ${mark} >/a\nENV B=1\nRUN echo ${mark} >/c\n`;
  const failed = await build(rig, `${dockerfile}RUN exit 3\n`);
  assert.equal(faultOf(failed), "image-build-failed");
  assert.deepEqual(await unnamed(), []);
  const good = await build(rig, dockerfile);
  assert.ok(good.result.ok);
  const failedLater = await build(rig, `${dockerfile}ENV D=1\nRUN exit 4\n`);
  assert.equal(faultOf(failedLater), "image-build-failed");
  assert.deepEqual(await unnamed(), []);
  assert.equal(await docker("inspect", "--format", "{{.Id}}", good.request.tag), good.result.image);
  const containers = await docker("ps", "--all", "--no-trunc", "--format", "{{.Command}}");
  assert.doesNotMatch(containers, /exit [34]/);
});

testBuilds("a stage can be the image", async (rig) => {
  const dockerfile = `FROM ${image} AS first\nENV STAGE=first\nFROM first\nRUN exit 1\n`;
  const { result } = await build(rig, dockerfile, () => {}, {}, { target: "first" });
  assert.ok(result.ok, JSON.stringify(result));
  const laid = await rig.run('echo "$STAGE"', { image: result.image });
  assert.equal(await rig.log(laid), "first\n");
});

testBuilds("a requirement that does not exist is named in the fault, with a way out", async (rig) => {
  const { result } = await build(
    rig,
    `FROM ${image}\nRUN echo 'ERROR: No matching distribution found for nosuch==9'; exit 1\n`,
  );
  assert.ok(!result.ok);
  assert.match(result.fault.message, /there is no Python package nosuch==9/);
  assert.match(result.fault.advice ?? "", /Check its name and version/);
});

testBuilds("a file that is not in the context is named, with where it may have been left out", async (rig) => {
  const { result } = await build(rig, `FROM ${image}\nCOPY data/nosuch.csv /x\n`);
  assert.ok(!result.ok);
  assert.match(result.fault.message, /there is no data\/nosuch\.csv in the build context; it failed at: COPY/);
  assert.match(result.fault.advice ?? "", /\.dockerignore/);
});

testBuilds("a Dockerfile that cannot be parsed is a failed build with the builder's words", async (rig) => {
  const { result } = await build(rig, `FROM ${image}\nNONSENSE here\n`);
  assert.ok(!result.ok);
  assert.equal(result.fault.code, "image-build-failed");
  assert.match(result.fault.message, /^The Dockerfile was refused: .*unknown instruction: NONSENSE/i);
});

testBuilds("a base image that does not exist is the same mistake as an image that does not exist", async (rig) => {
  await using registry = await fakeRegistry();
  const { result } = await build(rig, `FROM ${registry.address}/missing:1\nRUN true\n`);
  assert.ok(!result.ok);
  assert.equal(result.fault.code, "image-not-found", JSON.stringify(result.fault));
  assert.match(result.fault.message, /missing:1/);
});

test("a language of Dockerfiles that the engine cannot get is named, with a way out", async () => {
  await using rig = await DockerRig.open(image);
  const { result } = await build(rig, `# syntax=127.0.0.1:1/nosuch/dockerfile:1\nFROM ${image}\n`);
  assert.ok(!result.ok);
  assert.equal(result.fault.code, "image-build-failed");
  assert.match(result.fault.message, /at: # syntax=127\.0\.0\.1:1\/nosuch\/dockerfile:1/);
  assert.match(result.fault.advice ?? "", /Remove the line/);
});

test("a context that cannot be sent is an error that names the file, and the engine is not left hanging", async () => {
  await using rig = await DockerRig.open(image);
  const context = (await rig.lay("true")).spec.folder;
  execFileSync("mkfifo", [join(context, "in", "pipe")]);
  const request = {
    kind: "build",
    tag: "berth-test/never:1",
    context,
    dockerfile: `FROM ${image}\nCOPY . /x\n`,
    args: {},
  } as const;
  await assert.rejects(prepare(rig.session, request), /pipe is neither file|could not/);
});

test("a build that everybody gave up is aborted", async () => {
  await using rig = await DockerRig.open(image);
  const context = (await rig.lay("true")).spec.folder;
  const abort = new AbortController();
  const tag = `berth-test/aborted:${process.pid}`;
  const dockerfile = `FROM ${image}\nRUN echo begun ${tag}; sleep 600\n`;
  const onLog = (chunk: Uint8Array) => {
    if (/^#\d+ begun /m.test(Buffer.from(chunk).toString())) abort.abort(new Error("given up"));
  };
  const request = { kind: "build", tag, context, dockerfile, args: {} } as const;
  await assert.rejects(rig.session.prepareImage(request, onLog, abort.signal), /given up/);
  const left = async () => commandLines().filter((line) => line.includes(`begun ${tag}`));
  await rig.until("the end of what the build ran", left, (lines) => lines.length === 0);
});

/** Of all processes of this machine, on which the engine runs what a build does. */
function commandLines(): string[] {
  const pids = readdirSync("/proc").filter((name) => /^\d+$/.test(name));
  return pids.map((pid) => {
    try {
      return readFileSync(`/proc/${pid}/cmdline`, "utf8").replaceAll("\0", " ");
    } catch {
      return ""; // It has ended meanwhile.
    }
  });
}
