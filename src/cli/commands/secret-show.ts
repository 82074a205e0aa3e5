import type { Command } from "commander";
import { getSecret } from "../api/secrets.ts";
import type { CliContext } from "../context.ts";
import { connect } from "../platform/connection.ts";
import { checkSecretName } from "../platform/secret-input.ts";
import { type WithServer, withServerOptions } from "../server-options.ts";
import { formatLocal } from "../terminal/format-moment.ts";
import { plainText } from "../terminal/plain-text.ts";
import { renderTable } from "../terminal/table.ts";

/** `berth secret show NAME` */
export function defineSecretShow(parent: Command, context: CliContext): void {
  const { console } = context;
  withServerOptions(parent.command("show <name>"))
    .description("show a secret's versions, and the attempts that got it last; never its value")
    .option("--json", "print JSON")
    .addHelpText("after", "\nExample:\n  berth secret show REPORT_TOKEN")
    .action(async (name: string, options: WithServer<{ json?: boolean }>) => {
      const secret = await getSecret((await connect(context, options)).api, checkSecretName(name));
      if (options.json) return console.out(JSON.stringify(secret, null, 2));
      console.out(`${secret.name}: for ${secret.pipelines?.join(", ") ?? "all pipelines"}`);
      for (const { version, current, createdAt, createdBy } of secret.versions) {
        const kind = current ? "current" : "previous";
        console.out(`  version ${version}, ${kind}: set ${formatLocal(createdAt)} by ${plainText(createdBy)}`);
      }
      if (secret.accesses.length === 0) return console.out("No step has had it yet.");
      const rows = secret.accesses.map(({ at, run, stepRun, attempt, worker, version }) => [
        formatLocal(at),
        run,
        plainText(stepRun),
        String(attempt),
        plainText(worker),
        String(version),
      ]);
      for (const line of renderTable(COLUMNS, rows)) console.out(line);
    });
}

const COLUMNS = ["GIVEN", "RUN", "STEP", "ATTEMPT", "WORKER", "VERSION"].map((title) => ({ title }));
