import type { Command } from "commander";
import { rekey } from "../api/secrets.ts";
import type { CliContext } from "../context.ts";
import { connect } from "../platform/connection.ts";
import { type WithServer, withServerOptions } from "../server-options.ts";

/** `berth secret rekey` */
export function defineSecretRekey(parent: Command, context: CliContext): void {
  const { console } = context;
  withServerOptions(parent.command("rekey"))
    .description("encrypt all secrets of the project anew, under the newest key of the server (administrators)")
    .option("--json", "print JSON")
    .addHelpText("after", "\nAfter every server was given the new key.\n\nExample:\n  berth secret rekey")
    .action(async (options: WithServer<{ json?: boolean }>) => {
      const done = await rekey((await connect(context, options)).api);
      if (options.json) return console.out(JSON.stringify(done, null, 2));
      console.out(
        `Encrypted anew under ${done.key}: ${done.values} values, and the secrets of ${done.triggers} triggers.`,
      );
      if (done.projectsLeft === 0) console.out("Older keys may be taken away now.");
      else console.out(`Keep the older keys: ${done.projectsLeft} more project(s) have secrets under them.`);
    });
}
