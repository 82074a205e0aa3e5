import assert from "node:assert/strict";
import { test } from "node:test";
import { finishDiamond, runDiamond } from "../../../test/setup/lineage-fixture.ts";
import {
  CHAIN,
  inlineOutput,
  runServer,
  started,
  submit,
  succeeded,
  takeRun,
} from "../../../test/setup/run-fixture.ts";
import { type TestServer, testToken, testWorker } from "../../../test/setup/server.ts";
import { runCaptured } from "../../cli/testing/run-captured.ts";
import { fault } from "../../protocol/faults.ts";
import { newId } from "../../protocol/ids.ts";
import { type Facets, OpenLineageEvent, openLineageRunId } from "../../protocol/openlineage.ts";

async function eventsOf(server: TestServer, run: string): Promise<OpenLineageEvent[]> {
  const answer = await server.call("viewer", { url: `/runs/${run}/openlineage` });
  assert.equal(answer.statusCode, 200, answer.body);
  assert.match(String(answer.headers["content-type"]), /^application\/x-ndjson/);
  const lines = answer.body.trimEnd().split("\n");
  return lines.map((line) => OpenLineageEvent.parse(JSON.parse(line)));
}

/** What the specification requires of the facets that it has a schema for, by the name under which they stand. */
const REQUIRED: Readonly<Record<string, readonly [schema: string, ...fields: string[]]>> = {
  parent: ["1-2-0/ParentRunFacet", "run", "job"],
  errorMessage: ["1-0-1/ErrorMessageRunFacet", "message", "programmingLanguage"],
  nominalTime: ["1-0-1/NominalTimeRunFacet", "nominalStartTime"],
  processing_engine: ["1-1-1/ProcessingEngineRunFacet", "version"],
  jobType: ["2-0-4/JobTypeJobFacet", "processingType", "integration"],
  documentation: ["1-1-0/DocumentationJobFacet", "description"],
  version: ["1-0-1/DatasetVersionDatasetFacet", "datasetVersion"],
  datasetType: ["1-0-1/DatasetTypeDatasetFacet", "datasetType"],
  storage: ["1-0-1/StorageDatasetFacet", "storageLayer"],
  dataSource: ["1-0-1/DatasourceDatasetFacet"],
  outputStatistics: ["1-0-2/OutputStatisticsOutputDatasetFacet"],
  schema: ["1-2-0/SchemaDatasetFacet", "fields"],
  tags: ["1-0-0/TagsDatasetFacet", "tags"],
};

function checkFacets(facets: Facets): void {
  for (const [name, facet] of Object.entries(facets)) {
    const known = REQUIRED[name];
    if (known === undefined) {
      assert.match(name, /^berth_[a-z]+$/, "a facet that is not in the specification has a prefix");
      assert.match(facet._schemaURL, /^https:\/\/openlineage\.io\/spec\/2-0-2\/OpenLineage\.json#\/\$defs\/\w+Facet$/);
      continue;
    }
    const [schema, ...fields] = known;
    const [version, definition] = schema.split("/");
    const url = `https://openlineage.io/spec/facets/${version}/${definition}.json#/$defs/${definition}`;
    assert.equal(facet._schemaURL, url);
    for (const field of fields) assert.ok(facet[field] !== undefined && facet[field] !== null, `${name}.${field}`);
  }
}

/** One START and one end of every run of OpenLineage, and every facet as its schema has it. */
function checkEvents(events: readonly OpenLineageEvent[]): void {
  for (const ofRun of Map.groupBy(events, ({ run }) => run.runId).values()) {
    const [start, end] = ofRun;
    assert.equal(start!.eventType, "START");
    assert.notEqual(end!.eventType, "START");
    assert.equal(ofRun.length, 2);
    assert.ok(start!.eventTime <= end!.eventTime);
    assert.deepEqual([start!.job.name, start!.job.namespace], [end!.job.name, end!.job.namespace]);
  }
  for (const { run, job, inputs, outputs } of events) {
    for (const facets of [run.facets, job.facets]) checkFacets(facets);
    for (const dataset of [...inputs, ...outputs]) {
      checkFacets(dataset.facets);
      checkFacets({ ...dataset.inputFacets, ...dataset.outputFacets });
    }
  }
}

const datasetsOf = (datasets: OpenLineageEvent["inputs"]) =>
  datasets.map(({ name, facets }) => `${name}@${String(facets.version!.datasetVersion)}`);

test("a run is a job with a job per step below it, whose datasets are versions of artifacts", async (t) => {
  const server = await runServer(t);
  const worker = await testWorker(server);
  const id = await runDiamond(server, worker, { items: 3 });
  const events = await eventsOf(server, id);
  checkEvents(events);
  const namespace = `berth://${server.services.installation}/default`;
  assert.ok(events.every(({ job, producer }) => job.namespace === namespace && producer.startsWith("urn:berth:")));
  assert.deepEqual(
    events.map(({ eventType, job }) => `${eventType} ${job.name}`),
    [
      "START wine",
      ...["wine.prepare", "wine.train", "wine.score", "wine.score", "wine.score", "wine.report"].flatMap((job) => [
        `START ${job}`,
        `COMPLETE ${job}`,
      ]),
      "COMPLETE wine",
    ],
  );
  const runId = openLineageRunId(id);
  assert.equal(events[0]!.run.runId, runId);
  const report = events.find(({ eventType, job }) => eventType === "COMPLETE" && job.name === "wine.report")!;
  assert.deepEqual((report.run.facets.parent as { run?: object }).run, { runId });
  assert.deepEqual(datasetsOf(report.inputs), ["wine/train/model@1", "wine/score/scores@1"]);
  assert.equal(report.inputs[1]!.facets.berth_artifact!.items, 3);
  assert.deepEqual(datasetsOf(report.outputs), ["wine/report/summary@1"]);
  const score = events.filter(({ eventType, job }) => eventType === "COMPLETE" && job.name === "wine.score");
  assert.deepEqual(
    score.map(({ outputs }) => outputs[0]!.facets.berth_artifact!.item),
    ["0", "1", "2"],
  );
  const prepare = events.find(({ eventType, job }) => eventType === "COMPLETE" && job.name === "wine.prepare")!;
  const csv = prepare.outputs.find(({ name }) => name === "wine/prepare/train")!;
  assert.equal(csv.facets.storage!.storageLayer, "berth");
  assert.deepEqual(csv.outputFacets!.outputStatistics!.size, 8);
  assert.deepEqual(await eventsOf(server, id), events, "the same run has the same events");

  // What a step says of its outputs.
  const { pool } = server.services.database;
  const schema = { columns: [{ name: "a", type: "int64" }, { name: "b" }], rows: 1 };
  await pool.query("UPDATE artifact_versions SET schema = $1 WHERE name = 'train'", [JSON.stringify(schema)]);
  await pool.query("UPDATE artifact_versions SET schema = '[3, 4]' WHERE name = 'model'");
  const tag = {
    method: "POST",
    url: "/artifacts/wine/prepare/train/1/tags",
    payload: { set: { stage: "gold" } },
  } as const;
  assert.equal((await server.call("developer", tag)).statusCode, 200);
  const told = await eventsOf(server, id);
  checkEvents(told);
  const outputs = told.flatMap((event) => event.outputs);
  const { facets, outputFacets } = outputs.find(({ name }) => name === "wine/prepare/train")!;
  assert.deepEqual(facets.schema!.fields, schema.columns);
  assert.deepEqual(facets.tags!.tags, [{ key: "stage", value: "gold", source: "USER" }]);
  assert.equal(outputFacets!.outputStatistics!.rowCount, 1);
  assert.deepEqual(outputs.find(({ name }) => name === "wine/train/model")!.facets.berth_schema!.schema, [3, 4]);
});

test("each attempt is a run of its own, failures say why, and what goes on has no end yet", async (t) => {
  const server = await runServer(t);
  const worker = await testWorker(server);
  const { id } = await submit(server, { pipeline: CHAIN });
  const run = await takeRun(worker);
  const why = fault("exit-nonzero", "exit code 1");
  const failed = { state: "failed", exitCode: 1, fault: why } as const;
  await run.report(
    { type: "run.started", backend: "process" },
    started("make"),
    succeeded("make", [], [], { ...failed, stepState: null }),
    started("make", 2),
    succeeded("make", [inlineOutput("text", "x")], [], { attempt: 2 }),
    started("use"),
  );
  const so = await eventsOf(server, id);
  assert.deepEqual(
    so.map(({ eventType, job }) => `${eventType} ${job.name}`),
    [
      "START chain",
      "START chain.make",
      "FAIL chain.make",
      "START chain.make",
      "COMPLETE chain.make",
      "START chain.use",
    ],
  );
  assert.equal(so[2]!.run.facets.errorMessage!.message, "exit-nonzero: exit code 1");
  assert.equal(so[2]!.run.facets.errorMessage!.programmingLanguage, "SHELL");
  await run.report(succeeded("use", [], [], { ...failed, state: "cancelled", stepState: "cancelled" }), {
    type: "run.finished",
    state: "failed",
    fault: why,
  });
  const ended = await eventsOf(server, id);
  checkEvents(ended);
  assert.deepEqual(
    ended.slice(-2).map(({ eventType, job }) => `${eventType} ${job.name}`),
    ["ABORT chain.use", "FAIL chain"],
  );
});

test("what a restart took over is said by the run that made it alone, and runs that never ran are aborted", async (t) => {
  const server = await runServer(t);
  const worker = await testWorker(server);
  const first = await runDiamond(server, worker, { items: 3, fails: true });
  const restart = await server.call("developer", { method: "POST", url: `/runs/${first}/restart`, payload: {} });
  await finishDiamond(await takeRun(worker), 3);
  const events = await eventsOf(server, restart.json().id);
  checkEvents(events);
  assert.deepEqual(
    events.map(({ eventType, job }) => `${eventType} ${job.name}`),
    ["START wine", "START wine.report", "COMPLETE wine.report", "COMPLETE wine"],
  );
  const origin = events[0]!.run.facets.berth_run!.restartOf as { runId: string };
  assert.equal(origin.runId, openLineageRunId(first));

  const queued = await submit(server);
  await server.call("developer", { method: "POST", url: `/runs/${queued.id}/cancel`, payload: {} });
  const aborted = await eventsOf(server, queued.id);
  checkEvents(aborted);
  assert.deepEqual(
    aborted.map(({ eventType }) => eventType),
    ["START", "ABORT"],
  );

  const url = await server.app.listen({ host: "127.0.0.1", port: 0 });
  const token = await testToken(server.services, "viewer", server.project);
  const argv = ["runs", "openlineage", "--pipeline", "wine", "--last", "5", "--server", url, "--token", token];
  const { exitCode, stdout, stderr } = await runCaptured(argv);
  assert.equal(exitCode, 0, stderr);
  const printed = stdout.trimEnd().split("\n");
  assert.deepEqual(
    printed.map((line) => JSON.parse(line)),
    [...(await eventsOf(server, first)), ...events],
    "the older run comes first",
  );
});

test("the ids of runs are UUIDs that begin with the time of their run", () => {
  const run = newId("run", 0x0123456789ab);
  const ids = [openLineageRunId(run), openLineageRunId(run, { stepRun: "a", attempt: 1 })];
  for (const id of ids) assert.match(id, /^01234567-89ab-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/);
  assert.notEqual(ids[0], ids[1]);
  assert.equal(openLineageRunId(run), ids[0]);
});
