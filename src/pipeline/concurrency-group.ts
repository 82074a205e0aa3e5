import type { Problem } from "../protocol/errors.ts";
import { type Concurrency, GROUP_MAX_CHARS, type Params, type Plan } from "../protocol/plan.ts";
import { renderText } from "./template.ts";

export type ConcurrencyResult =
  | { readonly ok: true; readonly concurrency: Concurrency | null }
  | { readonly ok: false; readonly problems: Problem[] };

/** The group of a run with these parameters; a blank name would throw together what has nothing in common. */
export function resolveConcurrency({ concurrency }: Pick<Plan, "concurrency">, params: Params): ConcurrencyResult {
  if (concurrency === null) return { ok: true, concurrency };
  const nothing = { matrix: null, inputs: {}, outputs: {}, run: { id: "", number: 0 }, batch: null };
  const group = renderText(concurrency.group, { ...nothing, params }).trim();
  if (group !== "" && group.length <= GROUP_MAX_CHARS) return { ok: true, concurrency: { ...concurrency, group } };
  const what = group === "" ? "blank" : `${group.length} characters long; at most ${GROUP_MAX_CHARS}`;
  const message = `with these parameters the name of the group, ${concurrency.group}, is ${what}`;
  return { ok: false, problems: [{ path: "concurrency.group", message }] };
}
