import assert from "node:assert/strict";
import { test } from "node:test";
import { checkMapping, mapPayload, type Payload } from "./payload-mapping.ts";
import { compile, ENVIRONMENT } from "./testing/compile-text.ts";

const PLAN = compile(
  `name: p\n${ENVIRONMENT}\nparams: { ref: { type: string }, count: 1, dry: false, note: { type: string, required: false } }\nsteps: { a: { run: x } }`,
);
const payload = (body: unknown): Payload => ({ body, webhook: { id: "msg_1", timestamp: 1_700_000_000 } });
const problems = (params: Record<string, string>, when: string | null = null) =>
  checkMapping({ params: { ref: '"x"', ...params }, when }, PLAN).map(({ path, message }) => `${path}: ${message}`);

test("parameters are what their expressions find in the body, in types that parameters have", () => {
  const params = {
    ref: 'body.ref.startsWith("refs/heads/") ? body.ref.substring(11) : body.ref',
    count: "int(body.commits.size())",
    dry: "body.mode == 'dry'",
    note: "has(body.note) ? body.note : null",
  };
  assert.deepEqual(checkMapping({ params, when: null }, PLAN), []);
  const body = { ref: "refs/heads/main", commits: [1, 2, 3], mode: "dry" };
  assert.deepEqual(mapPayload({ params, when: null }, payload(body)), {
    ...{ ok: true, wanted: true, params: { ref: "main", count: 3, dry: true } },
  });
  const ofMessage = mapPayload({ params: { ref: "webhook.id" }, when: null }, payload({}));
  assert.deepEqual(ofMessage, { ok: true, wanted: true, params: { ref: "msg_1" } });
});

test("what a message lacks, or has in another form, is said by parameter", () => {
  const params = { ref: "body.ref", count: "body.counts", dry: "body.dry" };
  const mapped = mapPayload({ params, when: null }, payload({ counts: [1], dry: { a: 1 } }));
  assert.deepEqual(mapped, {
    ok: false,
    problems: [
      { path: "params.ref", message: '"body.ref": no such key: ref' },
      { path: "params.count", message: '"body.counts" is a list, not one value' },
      { path: "params.dry", message: '"body.dry" is an object, not one value' },
    ],
  });
  assert.equal(mapPayload({ params: { ref: "body.a.b.c" }, when: null }, payload("text")).ok, false);
});

test("a condition decides whether there is a run, and has to be true or false", () => {
  const when = 'body.ref == "refs/heads/main"';
  const wanted = (body: unknown) => mapPayload({ params: {}, when }, payload(body));
  assert.deepEqual(wanted({ ref: "refs/heads/main" }), { ok: true, wanted: true, params: {} });
  assert.deepEqual(wanted({ ref: "other" }), { ok: true, wanted: false, params: {} });
  assert.equal(wanted({}).ok, false);
  assert.equal(mapPayload({ params: {}, when: "body.ref" }, payload({ ref: "x" })).ok, false);
});

test("a mapping that could not work is refused before any message comes", () => {
  assert.deepEqual(problems({ rfe: "body.ref" }), [
    'params.rfe: the pipeline has no parameter "rfe", did you mean "ref"?',
  ]);
  assert.match(problems({ ref: "bodi.ref" }).join(), /unknown variable: bodi; there are body and webhook/);
  assert.match(problems({ ref: "body." }).join(), /^params\.ref: "body\."/);
  assert.match(problems({ ref: "[1, 2]" }).join(), /is of type list<int>, not one value/);
  assert.match(problems({ ref: 'string(body.ref.matches("(a+)+$"))' }).join(), /matches\(\) is not available/);
  assert.match(
    problems({ dry: "body.a.exists(x, x == 1.0)" }).join(),
    /exists\(\) is not available for messages; use in/,
  );
  assert.match(problems({}, '"text"').join(), /^when: .* is of type string/);
  assert.deepEqual(
    checkMapping({ params: {}, when: null }, PLAN).map(({ path, message }) => `${path}: ${message}`),
    ["params.ref: has no default, so that a webhook has to bring it"],
  );
});

test("no message takes long, whatever is in it", () => {
  const when = Array.from(
    { length: 40 },
    (_, index) => `${index}.5 in body.list || body.text.contains("y${index}")`,
  ).join(" || ");
  const body = { list: Array.from({ length: 60_000 }, () => 1), text: "x".repeat(120_000) };
  assert.deepEqual(problems({}, when), []);
  const before = process.cpuUsage();
  assert.deepEqual(mapPayload({ params: {}, when }, payload(body)), { ok: true, wanted: false, params: {} });
  const { user } = process.cpuUsage(before);
  assert.ok(user < 2_000_000, `it took ${user / 1000} ms of the processor`);
});
