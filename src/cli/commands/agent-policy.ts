import type { Command } from "commander";
import type { CliContext } from "../context.ts";

/** `berth agent policy`: what a worker lets steps ask of it. */
export function defineAgentPolicy(parent: Command, context: CliContext): void {
  parent
    .command("policy")
    .description("look at policy files, which say what steps may ask of a worker: see docs/workers.md")
    .addHelpText("after", "\nExample:\n  berth agent policy check /etc/berth/policy.yaml")
    .command("check <file>")
    .description("whether an agent would start with it: prints it in short, or every problem with its position")
    .option("--json", "print JSON")
    .addHelpText("after", "\nExit codes: 0 valid, 2 not.\n\nExample:\n  berth agent policy check policy.yaml")
    .action((file: string, options: { readonly json?: boolean }) => check(context, file, options));
}

async function check({ console, programs }: CliContext, file: string, { json }: { json?: boolean }): Promise<void> {
  const policy = await programs.checkPolicy(file);
  if (json) return console.out(JSON.stringify(policy, null, 2));
  console.out(`sha256:${policy.digest}`);
  for (const rule of policy.summary) console.out(rule);
  if (policy.summary.length === 0) console.note("It forbids nothing that Berth's defaults allow.");
}
