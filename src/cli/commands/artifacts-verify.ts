import { statSync } from "node:fs";
import type { Command } from "commander";
import type { ArtifactVersion } from "../../protocol/resources.ts";
import { type ArtifactReference, readVersion } from "../api/artifacts.ts";
import type { ApiClient } from "../api/client.ts";
import { getProvenance, listProvenanceKeys } from "../api/provenance.ts";
import { checkLocalFile, checkLocalFolder, checkStored, fetchManifest } from "../artifacts/check-bytes.ts";
import { nothingOf } from "../artifacts/nothing-of.ts";
import { parseReference } from "../artifacts/parse-reference.ts";
import { isProven, type Report, verificationLines, verifyProvenance } from "../artifacts/verification.ts";
import { usageError } from "../cli-error.ts";
import type { CliContext } from "../context.ts";
import { EXIT } from "../exit-code.ts";
import { keysIn, parseGiven, readGiven } from "../given-files.ts";
import { connect } from "../platform/connection.ts";
import type { CommandResult } from "../program.ts";
import { type WithServer, withServerOptions } from "../server-options.ts";

interface Given {
  readonly item?: string;
  readonly key?: string;
  readonly provenance?: string;
  readonly manifest?: string;
  readonly json?: boolean;
}
type Options = WithServer<Given>;

export function defineArtifactsVerify(parent: Command, context: CliContext, result: CommandResult): void {
  withServerOptions(parent.command("verify <artifact> [file]"))
    .description("check that bytes are those of a version, by its signed provenance")
    .option("--key <file>", "public keys in PEM that you trust; default those that the server names")
    .option("--provenance <file>", "the signed provenance; default that of the server")
    .option("--manifest <file>", "of a folder: its manifest; default that of the server")
    .option("--item <item>", "one item of a batch or matrix, such as 7 or model=knn")
    .option("--json", "print JSON")
    .addHelpText("after", HELP)
    .action(async (reference: string, file: string | undefined, options: Options) => {
      const report = await verify(context, parseReference(reference), file, options);
      const lines = options.json ? [jsonOf(report)] : verificationLines(report, context.console.style);
      for (const line of lines) context.console.out(line);
      result.exitCode = isProven(report) ? EXIT.success : EXIT.notProven;
    });
}

const HELP = `
Without a file, what is stored is read and hashed. With a file, --provenance and --key (of a folder also --manifest) no
server is asked. The exit code is 1 where anything does not hold.

Examples:
  berth artifacts verify wine/report/summary
  berth artifacts verify wine/report/summary/3 summary.md --key berth-keys.pem
  berth artifacts verify wine/report/summary/3 summary.md --provenance summary.intoto.json --key berth-keys.pem`;

async function verify(
  context: CliContext,
  reference: ArtifactReference,
  file: string | undefined,
  options: Options,
): Promise<Report> {
  const server = lazily(async () => (await connect(context, options)).api);
  const artifact = lazily(async () => await theItem(await server(), reference, options.item));
  const publicKeys =
    options.key === undefined
      ? (await listProvenanceKeys(await server())).map(({ publicKey }) => publicKey)
      : keysIn(options.key);
  const envelope =
    options.provenance === undefined
      ? await getProvenance(await server(), named(await artifact()), options.item)
      : parseGiven(readGiven(options.provenance), options.provenance, "berth artifacts provenance ARTIFACT > FILE");
  const verification = await verifyProvenance({
    ...{ reference, item: options.item ?? "", envelope, publicKeys },
    checkBytes: async (digest, isFolder) => {
      if (file === undefined) return await checkStored(await server(), await artifact(), digest);
      const isLocalFolder = statOf(file).isDirectory();
      if (isLocalFolder !== isFolder) {
        const what = isFolder ? "a folder was signed, and this is a file" : "a file was signed, and this is a folder";
        return { problem: `${file}: ${what}`, files: 0, bytes: 0 };
      }
      if (!isFolder) return await checkLocalFile(file, digest);
      const manifest =
        options.manifest === undefined
          ? await fetchManifest(await server(), await artifact())
          : readGiven(options.manifest);
      return await checkLocalFolder(file, manifest, digest);
    },
  });
  return { ...verification, keySource: options.key === undefined ? "server" : "file" };
}

/** The version that `latest` is now: all that is asked of the server has to be about the same one. */
function named({ pipeline, step, name, version }: ArtifactVersion): ArtifactReference {
  return { pipeline, step, name, version };
}

async function theItem(api: ApiClient, reference: ArtifactReference, item?: string): Promise<ArtifactVersion> {
  const { items } = await readVersion(api, reference, item);
  if (items.length === 1) return items[0]!;
  if (items.length === 0) throw nothingOf(item);
  throw usageError(`It has ${items.length} items, each with a provenance of its own.`, "Choose one with --item.");
}

function jsonOf({ checks, statement, keySource }: Report): string {
  const proven = checks.every(({ holds }) => holds === true);
  return JSON.stringify({ proven, checks, keySource, statement }, null, 2);
}

function statOf(file: string) {
  try {
    return statSync(file);
  } catch (error) {
    throw usageError(`${file} cannot be read: ${(error as Error).message}`);
  }
}

function lazily<T>(make: () => Promise<T>): () => Promise<T> {
  let made: Promise<T> | null = null;
  return () => {
    made ??= make();
    return made;
  };
}
