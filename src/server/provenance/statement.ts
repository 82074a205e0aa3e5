import { createHash } from "node:crypto";
import {
  BUILD_TYPE,
  type ProvenanceStatement,
  type ResourceDescriptor,
  SLSA_PROVENANCE,
  STATEMENT_TYPE,
  subjectName,
} from "../../protocol/provenance.ts";
import type { ArtifactVersion } from "../../protocol/resources.ts";
import type { InputFact, MakingFacts } from "../store/provenance.ts";

/** Items of one version under one input that are listed one by one; of more, the list as a whole has a digest. */
const ITEMS_LISTED_MAX = 1_000;

export interface StatementFacts {
  /** `berth://<installation>` */
  readonly builder: string;
  readonly project: string;
  readonly artifact: ArtifactVersion;
  readonly making: MakingFacts;
  readonly inputs: readonly InputFact[];
}

/** The statement about one version: nothing in it but what was committed, so that it is always the same. */
export function provenanceStatement({
  builder,
  project,
  artifact,
  making,
  inputs,
}: StatementFacts): ProvenanceStatement {
  const { run, stepRun, attempt, pipeline } = artifact;
  const base = `${builder}/${project}`;
  const { kind, size, fileName, fileCount, contentType } = artifact;
  const { matrix, batchItem, params, step } = making;
  return {
    _type: STATEMENT_TYPE,
    subject: [
      {
        name: subjectName(artifact, artifact.item),
        digest: { sha256: artifact.digest },
        annotations: { kind, size, fileName, fileCount, contentType },
      },
    ],
    predicateType: SLSA_PROVENANCE,
    predicate: {
      buildDefinition: {
        buildType: BUILD_TYPE,
        externalParameters: {
          ...{ pipeline, pipelineVersion: making.pipelineVersion, step, stepRun, matrix, batchItem, params },
          source: making.sourceDigest === null ? null : { digest: { sha256: making.sourceDigest } },
        },
        internalParameters: {
          ...{ run: `${pipeline}#${run.number}`, attempt, epoch: making.epoch, backend: making.backend },
          ...{ worker: { id: making.worker, name: making.workerName } },
          ...{ memoryBytes: making.memoryBytes, timeoutMs: making.timeoutMs },
        },
        resolvedDependencies: [
          {
            name: "pipeline",
            uri: `${base}/pipelines/${pipeline}/versions/${making.pipelineVersion}`,
            digest: { sha256: making.planDigest },
          },
          ...sourceOf(making, base),
          ...imageOf(making),
          ...inputDependencies(inputs, base),
        ],
      },
      runDetails: {
        builder: { id: builder },
        metadata: {
          invocationId: `${base}/runs/${run.id}/${stepRun}/${attempt}`,
          startedOn: making.startedAt.toISOString(),
          finishedOn: making.finishedAt.toISOString(),
        },
      },
    },
  };
}

function sourceOf({ sourceDigest }: MakingFacts, base: string): ResourceDescriptor[] {
  if (sourceDigest === null) return [];
  return [{ name: "source", uri: `${base}/blobs/${sourceDigest}`, digest: { sha256: sourceDigest } }];
}

/** What an image is known by may be a digest, or a name with one; where it is neither, there is no digest to give. */
function imageOf({ image }: MakingFacts): ResourceDescriptor[] {
  if (image === null) return [];
  const sha256 = /sha256:([0-9a-f]{64})$/.exec(image.digest)?.[1];
  const annotations = { id: image.id, digest: image.digest };
  return [{ name: "image", ...(sha256 === undefined ? {} : { digest: { sha256 } }), annotations }];
}

function inputDependencies(inputs: readonly InputFact[], base: string): ResourceDescriptor[] {
  const uriOf = (input: InputFact, item: string) => `${base}/artifacts/${subjectName(input, item)}`;
  const groups = Map.groupBy(inputs, (input) => `${input.input} ${uriOf(input, "")}`);
  return [...groups.values()].flatMap((group): ResourceDescriptor[] => {
    const name = `input ${group[0]!.input}`;
    if (group.length <= ITEMS_LISTED_MAX) {
      return group.map((input) => ({ name, uri: uriOf(input, input.item), digest: { sha256: input.digest } }));
    }
    const list = group.map(({ item, digest }) => `${item}\t${digest}\n`).toSorted();
    const digest = createHash("sha256").update(list.join("")).digest("hex");
    return [
      {
        name,
        uri: uriOf(group[0]!, ""),
        digest: { "berth-items-sha256": digest },
        annotations: { items: group.length },
      },
    ];
  });
}
