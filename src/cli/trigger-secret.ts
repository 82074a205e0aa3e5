import type { TriggerWithSecret } from "../protocol/triggers.ts";
import type { ApiClient } from "./api/client.ts";
import type { CliContext } from "./context.ts";

/** Said before it: what is told on stderr is not what is kept. */
export const SHOWN_ONCE = "Its address, and its secret, which is shown this once:";

/** Both as data, in the words of the documentation's example: it can be kept with `tee`, and read by a shell. */
export function printSecret({ console }: CliContext, api: ApiClient, trigger: TriggerWithSecret): void {
  console.out(`HOOK=${addressOf(api, trigger)}`);
  console.out(`SECRET=${trigger.secret}`);
}

/** The same as JSON: a server knows only the path, for it may be reached by several names. */
export function printWithAddress({ console }: CliContext, api: ApiClient, trigger: TriggerWithSecret): void {
  console.out(JSON.stringify({ ...trigger, address: addressOf(api, trigger) }, null, 2));
}

export function addressOf({ server }: Pick<ApiClient, "server">, { path }: Pick<TriggerWithSecret, "path">): string {
  return new URL(path, server).href;
}
