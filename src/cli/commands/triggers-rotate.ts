import type { Command } from "commander";
import { rotateTrigger } from "../api/triggers.ts";
import type { CliContext } from "../context.ts";
import { connect } from "../platform/connection.ts";
import { type WithServer, withServerOptions } from "../server-options.ts";
import { formatLocal } from "../terminal/format-moment.ts";
import { printSecret, printWithAddress, SHOWN_ONCE } from "../trigger-secret.ts";

type Options = WithServer<{ now?: boolean; json?: boolean }>;

/** `berth triggers rotate NAME` */
export function defineTriggersRotate(parent: Command, context: CliContext): void {
  withServerOptions(parent.command("rotate <trigger>"))
    .description("give a trigger a new secret; the old one is good for one more day")
    .option("--now", "the old one is good for nothing at once, as when it was seen by others")
    .option("--json", "print JSON")
    .addHelpText(
      "after",
      "\nHOOK, the address, and SECRET are on stdout; the secret is shown this once.\n\nExample:\n  berth triggers rotate push",
    )
    .action(async (name: string, options: Options) => {
      const { api } = await connect(context, options);
      const trigger = await rotateTrigger(api, name, options.now ? 0 : undefined);
      if (options.json) return printWithAddress(context, api, trigger);
      const until =
        trigger.oldSecretUntil === null
          ? "good for nothing any more"
          : `good until ${formatLocal(trigger.oldSecretUntil)}`;
      context.console.note(`The old secret of ${trigger.name} is ${until}. ${SHOWN_ONCE}`);
      printSecret(context, api, trigger);
    });
}
