import { checkEnvelope, type ProvenanceStatement, subjectName } from "../../protocol/provenance.ts";
import { formatSize } from "../../std/format-size.ts";
import type { ArtifactReference } from "../api/artifacts.ts";
import { plainText } from "../terminal/plain-text.ts";
import type { Style } from "../terminal/style.ts";
import type { BytesCheck } from "./check-bytes.ts";

/** One thing that has to hold; null where it was not looked at, because one before it does not hold. */
export interface Check {
  readonly name: "signature" | "statement" | "bytes";
  readonly holds: boolean | null;
  readonly detail: string;
}

export interface Verification {
  readonly checks: readonly Check[];
  /** Null unless the signature holds. */
  readonly statement: ProvenanceStatement | null;
}

export interface VerifyOrder {
  readonly reference: ArtifactReference;
  readonly item: string;
  readonly envelope: unknown;
  readonly publicKeys: readonly string[];
  /** Asked once it is known what the bytes have to be. */
  readonly checkBytes: (digest: string, isFolder: boolean) => Promise<BytesCheck>;
}

/** Checks one after another, each only when those before it hold: what is said of forged statements proves nothing. */
export async function verifyProvenance(order: VerifyOrder): Promise<Verification> {
  const { reference, item, envelope, publicKeys, checkBytes } = order;
  const checked = checkEnvelope(envelope, publicKeys);
  if (!checked.ok) {
    return {
      checks: [{ name: "signature", holds: false, detail: checked.why }, ...notLookedAt("statement", "bytes")],
      statement: null,
    };
  }
  const { statement, keyId } = checked;
  const signature: Check = { name: "signature", holds: true, detail: `by the key ${keyId}` };
  const [subject] = statement.subject;
  if (!isNamed(subject!.name, reference, item)) {
    const detail = `it is about ${plainText(subject!.name)}, not about ${wantedName(reference, item)}`;
    return { checks: [signature, { name: "statement", holds: false, detail }, ...notLookedAt("bytes")], statement };
  }
  const named: Check = { name: "statement", holds: true, detail: `about ${plainText(subject!.name)}` };
  const { sha256 } = subject!.digest;
  const { problem, files, bytes } = await checkBytes(sha256, subject!.annotations?.kind === "folder");
  const hashed = `SHA-256 ${sha256}, ${files === 1 ? "" : `${files} files, `}${formatSize(bytes)}`;
  const detail = problem === null ? hashed : plainText(problem);
  return { checks: [signature, named, { name: "bytes", holds: problem === null, detail }], statement };
}

export function isProven({ checks }: Verification): boolean {
  return checks.every(({ holds }) => holds === true);
}

function notLookedAt(...names: Check["name"][]): Check[] {
  return names.map((name) => ({ name, holds: null, detail: "not looked at" }));
}

/** Without a version, any of that artifact will do: the statement says which one it is. */
function isNamed(subject: string, { version, ...artifact }: ArtifactReference, item: string): boolean {
  if (version !== null) return subject === subjectName({ ...artifact, version }, item);
  const found = /\/([1-9]\d{0,8})(\?item=.*)?$/s.exec(subject)?.[1];
  return found !== undefined && subject === subjectName({ ...artifact, version: Number(found) }, item);
}

function wantedName({ pipeline, step, name, version }: ArtifactReference, item: string): string {
  return `${pipeline}/${step}/${name}${version === null ? "" : `/${version}`}${item === "" ? "" : `, item ${plainText(item)}`}`;
}

export interface Report extends Verification {
  /** Where the public keys came from. */
  readonly keySource: "file" | "server";
}

/** The checks, what follows from them, and what does not. */
export function verificationLines(report: Report, style: Style): string[] {
  const lines = report.checks.map(({ name, holds, detail }) => {
    const mark = holds === null ? style.dim("-") : holds ? style.green("✓") : style.red("✗");
    // Of an envelope from elsewhere, whatever is wrong with it may be repeated.
    return `${mark} ${name.padEnd(10)} ${plainText(detail)}`;
  });
  if (!isProven(report)) return [...lines, style.red("not proven")];
  return [...lines, "", ...proven(report.statement!), ...notProven(report.keySource)];
}

function proven({ subject, predicate }: ProvenanceStatement): string[] {
  const { buildDefinition, runDetails } = predicate;
  const { step, source } = buildDefinition.externalParameters as { step?: unknown; source?: unknown };
  const { run } = buildDefinition.internalParameters as { run?: unknown };
  const inputs = buildDefinition.resolvedDependencies.filter(({ name }) => name?.startsWith("input ")).length;
  const from = [
    inputs === 1 ? "1 input" : `${inputs} inputs`,
    ...(source === null ? [] : ["a source folder"]),
    ...(buildDefinition.resolvedDependencies.some(({ name }) => name === "image") ? ["an image"] : []),
  ];
  const text = (value: unknown) => plainText(String(value));
  // All projects of an installation have one key, and the name of a version does not say whose it is.
  const [project] = runDetails.metadata.invocationId.split("/runs/");
  return [
    "proven: whoever holds that key signed that these bytes are",
    `  ${text(subject[0]!.name)}, an output of step ${text(step)} in ${text(run)} of the project ${text(project)},`,
    `  made from ${from.join(", ")} by ${runDetails.metadata.finishedOn}; each is named there with its SHA-256.`,
  ];
}

function notProven(keySource: Report["keySource"]): string[] {
  const key =
    keySource === "server"
      ? "  - that the key is the right one: the same server named it. Compare `berth artifacts keys` by another way, then use --key."
      : "  - that the key belongs to whom you think: you vouch for the file given with --key.";
  return [
    "not proven:",
    key,
    "  - that the project named above is the one you mean: each may have a pipeline of that name, and the key is the same.",
    "  - that the worker did what it reported, and that the step's code is harmless.",
    "  - where the inputs came from: each version has a provenance of its own.",
  ];
}
