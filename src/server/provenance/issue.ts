import { BerthError } from "../../protocol/errors.ts";
import { PAYLOAD_TYPE, type ProvenanceEnvelope, signedBytes } from "../../protocol/provenance.ts";
import type { ArtifactVersion } from "../../protocol/resources.ts";
import type { Services } from "../services.ts";
import { recordAudit } from "../store/audit.ts";
import { findProject } from "../store/projects.ts";
import { findProvenance, inputsOf, insertProvenance, makingOf, type SignedProvenance } from "../store/provenance.ts";
import { provenanceStatement } from "./statement.ts";

type IssueServices = Pick<Services, "database" | "installation" | "signer">;

/**
 * The signed statement about a version: the one that was issued, or else made now from what was committed. Commits do not
 * wait for it, and of several that are made at once the first is kept.
 */
export async function issueProvenance(
  services: IssueServices,
  project: string,
  artifact: ArtifactVersion,
): Promise<ProvenanceEnvelope> {
  const { pool } = services.database;
  const known = await findProvenance(pool, artifact.id);
  if (known !== null) return envelopeOf(known);
  const signer = services.signer ?? noKey();
  const place = { run: artifact.run.id, stepRun: artifact.stepRun, attempt: artifact.attempt };
  const [making, inputs, owner] = await Promise.all([
    makingOf(pool, place),
    inputsOf(pool, place.run, place.stepRun),
    findProject(pool, project),
  ]);
  const builder = `berth://${services.installation}`;
  const statement = provenanceStatement({ builder, project: owner!.name, artifact, making, inputs });
  const payload = Buffer.from(JSON.stringify(statement));
  const signature = signer.sign(signedBytes(PAYLOAD_TYPE, payload));
  await services.database.transaction(async (client) => {
    const { keyId } = signer;
    if (!(await insertProvenance(client, project, artifact.id, { keyId, payload, signature }))) return;
    const { pipeline, step, name, version, item } = artifact;
    const subject = `${pipeline}/${step}/${name}/${version}`;
    await recordAudit(client, { project, action: "provenance.issue", subject, details: { item, keyId } });
  });
  return envelopeOf((await findProvenance(pool, artifact.id))!);
}

export function envelopeOf({ keyId, payload, signature }: SignedProvenance): ProvenanceEnvelope {
  return {
    payloadType: PAYLOAD_TYPE,
    payload: payload.toString("base64"),
    signatures: [{ keyid: keyId, sig: signature.toString("base64") }],
  };
}

function noKey(): never {
  throw new BerthError("conflict", "This server has no key to sign provenance with.", {
    advice:
      "On each server, set BERTH_PROVENANCE_KEY_FILE to a file with the same key: openssl genpkey -algorithm ed25519 -out FILE",
  });
}
