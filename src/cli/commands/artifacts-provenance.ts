import type { Command } from "commander";
import { getProvenance, listProvenanceKeys } from "../api/provenance.ts";
import { parseReference } from "../artifacts/parse-reference.ts";
import type { CliContext } from "../context.ts";
import { connect } from "../platform/connection.ts";
import { type WithServer, withServerOptions } from "../server-options.ts";
import { renderTable } from "../terminal/table.ts";

export function defineArtifactsProvenance(parent: Command, context: CliContext): void {
  withServerOptions(parent.command("provenance <artifact>"))
    .description("print the signed provenance of a version")
    .option("--item <item>", "one item of a batch or matrix, such as 7 or model=knn")
    .option("--statement", "print what is signed, without the envelope")
    .addHelpText("after", PROVENANCE_HELP)
    .action((reference: string, options: ProvenanceOptions) => printProvenance(context, reference, options));
}

type ProvenanceOptions = WithServer<{ item?: string; statement?: boolean }>;

const PROVENANCE_HELP = `
An in-toto statement (v1) with SLSA provenance (v1) in a DSSE envelope, signed with the installation's Ed25519 key. Once
issued it never changes.

Examples:
  berth artifacts provenance wine/report/summary/3 > summary.intoto.json
  berth artifacts provenance wine/report/summary --statement`;

async function printProvenance(context: CliContext, text: string, options: ProvenanceOptions): Promise<void> {
  const reference = parseReference(text);
  const { api } = await connect(context, options);
  const envelope = await getProvenance(api, reference, options.item);
  const statement = (): unknown => JSON.parse(Buffer.from(envelope.payload, "base64").toString("utf8"));
  context.console.out(JSON.stringify(options.statement ? statement() : envelope, null, 2));
}

export function defineArtifactsKeys(parent: Command, context: CliContext): void {
  withServerOptions(parent.command("keys"))
    .description("list the public keys that provenance is, and was, signed with")
    .option("--pem", "print the keys alone, as a file for `berth artifacts verify --key`")
    .option("--json", "print JSON")
    .addHelpText("after", "\nExample:\n  berth artifacts keys --pem > berth-keys.pem")
    .action((options: KeysOptions) => printKeys(context, options));
}

type KeysOptions = WithServer<{ pem?: boolean; json?: boolean }>;

async function printKeys(context: CliContext, options: KeysOptions): Promise<void> {
  const { console } = context;
  const keys = await listProvenanceKeys((await connect(context, options)).api);
  if (options.json) return console.out(JSON.stringify(keys, null, 2));
  if (options.pem) return console.write(keys.map(({ publicKey }) => publicKey).join(""));
  if (keys.length === 0) return console.note("The server has no key for provenance: see BERTH_PROVENANCE_KEY_FILE.");
  const rows = keys.map(({ id, current, firstUsedAt }) => [id, current ? "signs now" : "signed before", firstUsedAt]);
  for (const line of renderTable([{ title: "KEY (SHA-256)" }, { title: "STATE" }, { title: "SINCE" }], rows)) {
    console.out(line);
  }
}
