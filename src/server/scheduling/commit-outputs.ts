import { createHash } from "node:crypto";
import { buffer } from "node:stream/consumers";
import type { StepRunIdentity } from "../../pipeline/step-runs.ts";
import { MANIFEST_MAX_BYTES, type ManifestEntry, type ProducedOutput } from "../../protocol/artifacts.ts";
import { BerthError } from "../../protocol/errors.ts";
import type { AgentEvent } from "../../protocol/events.ts";
import { matrixKey } from "../../protocol/names.ts";
import {
  type ArtifactName,
  artifactKey,
  artifactsInRun,
  type Committer,
  insertArtifactVersions,
  insertLineage,
  type NewArtifactVersion,
} from "../store/artifact-commit.ts";
import type { BlobStore } from "../store/blobs.ts";
import { holdBlobs, insertInlineBlobs } from "../store/commit-blobs.ts";
import type { Queryable } from "../store/database.ts";
import type { Commit } from "./apply-events.ts";
import { readManifest } from "./folder-manifest.ts";
import type { StepContracts } from "./step-contracts.ts";

/** What has to be in hand before the transaction of a commit begins. */
export interface CommitMaterial {
  /** Bytes that travelled with the events, checked against their digests. */
  readonly inline: ReadonlyMap<string, Uint8Array>;
  /** By digest; null where the project does not hold the manifest. */
  readonly manifests: ReadonlyMap<string, readonly ManifestEntry[] | null>;
}

/**
 * Decodes inline blobs and reads folder manifests. This goes first because a manifest may lie in the object store: no
 * transaction waits for that, nor takes a second connection while it holds the first.
 */
export async function gatherMaterial(
  blobs: BlobStore,
  project: string,
  events: readonly AgentEvent[],
): Promise<CommitMaterial> {
  const outputs = events.flatMap(({ body }) => (body.type === "attempt.finished" ? body.outputs : []));
  const inline = new Map<string, Uint8Array>();
  for (const output of outputs) {
    if (output.inline !== undefined) inline.set(output.content.digest, decodeInline(output, output.inline));
  }
  const manifests = new Map<string, readonly ManifestEntry[] | null>();
  for (const { content } of outputs) {
    if (content.kind !== "folder" || manifests.has(content.digest)) continue;
    const bytes = inline.get(content.digest) ?? (await readBlob(blobs, project, content.digest));
    manifests.set(content.digest, bytes === null ? null : readManifest(content, bytes));
  }
  return { inline, manifests };
}

function decodeInline({ name, content }: ProducedOutput, base64: string): Uint8Array {
  const bytes = Buffer.from(base64, "base64");
  const digest = createHash("sha256").update(bytes).digest("hex");
  if (digest === content.digest) return bytes;
  throw new BerthError(
    "digest_mismatch",
    `The bytes of output "${name}" have SHA-256 ${digest}, not ${content.digest}.`,
  );
}

async function readBlob(blobs: BlobStore, project: string, digest: string): Promise<Uint8Array | null> {
  const blob = await blobs.open(project, digest);
  if (blob === null) return null;
  if (blob.size <= MANIFEST_MAX_BYTES) return buffer(blob.stream);
  blob.stream.destroy();
  throw new BerthError("payload_too_large", `The manifest ${digest} has ${blob.size} bytes.`, {
    advice: `A folder's manifest may have ${MANIFEST_MAX_BYTES} bytes: pack so many files into one archive.`,
  });
}

export interface CommitContext {
  readonly contracts: StepContracts;
  readonly material: CommitMaterial;
  /** Artifacts that have a version in this run although nothing of it is committed here. */
  readonly taken: readonly ArtifactName[];
}

/**
 * Makes outputs visible: versions named, blobs referred to, lineage written; or nothing at all of it. Blobs are locked
 * before artifacts, and all artifacts at once, so that two runs never wait for each other in turn.
 */
export async function commitOutputs(
  client: Queryable,
  committer: Committer,
  commits: readonly Commit[],
  { contracts, material, taken }: CommitContext,
): Promise<void> {
  const outputs = commits.flatMap((commit) =>
    commit.outputs.map((output) => ({ ...commit, output, blobs: filesOf(output, material) })),
  );
  if (outputs.length > 0) {
    const digests = new Set(outputs.map(({ output }) => output.content.digest));
    const inline = [...material.inline].filter(([digest]) => digests.has(digest));
    await insertInlineBlobs(client, committer.project, new Map(inline));
    await checkBlobs(client, committer, outputs);
    const names = [...outputs.map(({ output, stepRun }) => ({ step: stepRun.step, name: output.name })), ...taken];
    const distinct = [...new Map(names.map((name) => [artifactKey(name), name])).values()];
    const artifacts = new Map(
      (await artifactsInRun(client, committer, distinct)).map((artifact) => [artifactKey(artifact), artifact]),
    );
    await insertArtifactVersions(
      client,
      committer,
      outputs.map(({ output, stepRun, attempt, blobs }) => ({
        artifact: artifacts.get(artifactKey({ step: stepRun.step, name: output.name }))!,
        item: itemLabel(stepRun),
        stepRun: stepRun.key,
        attempt,
        content: output.content,
        notes: { tags: output.tags, schema: output.schema, format: output.format },
        blobs: [...blobs.keys()],
        ...declaredOf(contracts, stepRun.step, output.name),
      })),
    );
  } else if (taken.length > 0) {
    await artifactsInRun(client, committer, taken);
  }
  const lineage = commits.flatMap(({ stepRun, inputs }) =>
    inputs.map(({ name, stepRun: producer, artifact, digest }) => ({
      ...{ stepRun: stepRun.key, input: name },
      ...{ producer, artifact, digest },
    })),
  );
  await insertLineage(client, committer, lineage);
}

/** What the pipeline file says of an output. */
function declaredOf(contracts: StepContracts, step: string, name: string): Pick<NewArtifactVersion, "type" | "rule"> {
  const { outputs, retention } = contracts.get(step)!;
  const output = outputs.get(name)!;
  if (output.retention !== undefined) return { type: output.type, rule: { ...output.retention, of: "output" } };
  return { type: output.type, rule: retention === null ? null : { ...retention, of: "pipeline" } };
}

/** The files of a folder, with their sizes; empty for a single file, and while its manifest is missing. */
function filesOf({ content }: ProducedOutput, { manifests }: CommitMaterial): ReadonlyMap<string, number> {
  const entries = content.kind === "folder" ? (manifests.get(content.digest) ?? []) : [];
  return new Map(entries.flatMap((entry) => (entry.kind === "file" ? [[entry.digest, entry.size]] : [])));
}

/** Every byte that the versions name has to be in the store before they can be. */
async function checkBlobs(
  client: Queryable,
  { project }: Committer,
  outputs: readonly { readonly output: ProducedOutput; readonly blobs: ReadonlyMap<string, number> }[],
): Promise<void> {
  const expected = new Map<string, number | null>();
  for (const { output, blobs } of outputs) {
    const { kind, digest, size } = output.content;
    expected.set(digest, kind === "file" ? size : (expected.get(digest) ?? null));
    for (const [file, fileSize] of blobs) expected.set(file, fileSize);
  }
  const sizes = await holdBlobs(client, project, [...expected.keys()]);
  const missing = [...expected.keys()].filter((digest) => !sizes.has(digest));
  if (missing.length > 0) {
    throw new BerthError("missing_blobs", `${missing.length} blobs of these outputs are not in the store yet.`, {
      advice: "Upload them, then report again.",
      details: { missing },
    });
  }
  for (const [digest, size] of expected) {
    if (size === null || sizes.get(digest) === size) continue;
    throw new BerthError("conflict", `Blob ${digest} has ${sizes.get(digest)} bytes; an output says ${size}.`);
  }
}

/** What tells this step run's outputs from those of its siblings in the same version. */
export function itemLabel({ matrix, item }: Pick<StepRunIdentity, "matrix" | "item">): string {
  return [matrix === null ? null : matrixKey(matrix), item].filter((part) => part !== null).join(",");
}
