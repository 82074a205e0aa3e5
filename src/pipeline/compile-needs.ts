import type { StepPlan } from "../protocol/plan.ts";
import type { Compilation } from "./compilation.ts";
import { quote } from "./problem.ts";
import { didYouMean } from "./suggest.ts";

/** Of one file; each is a mistake of its own, and one is mended at a time. */
const CYCLES_MAX = 10;
/** Ways around that are looked at: in a dense tangle there are millions. */
const CYCLES_EXAMINED_MAX = 100;
const CYCLE_STEPS_SHOWN = 12;

/** Every step that must have ended before: what the file says, and what inputs, batch, condition and serial mode imply. */
export function compileNeeds(
  step: string,
  links: Pick<StepPlan, "inputs" | "batch" | "when">,
  previous: string | null,
  compilation: Compilation,
): string[] {
  const { file, problems, isDamaged } = compilation;
  const needs = new Set<string>();
  for (const [index, need] of (file.steps[step]?.needs ?? []).entries()) {
    const path = ["steps", step, "needs", index];
    if (need === step) problems.add(path, "a step cannot need itself");
    else if (needs.has(need)) problems.add(path, `${quote(need)} is listed twice`);
    else if (Object.hasOwn(file.steps, need)) needs.add(need);
    else if (!isDamaged("steps", need)) {
      problems.add(path, () => `there is no step ${quote(need)}${didYouMean(need, Object.keys(file.steps))}`);
    }
  }
  for (const input of Object.values(links.inputs)) needs.add(input.step);
  if (links.batch !== null) needs.add(links.batch.step);
  for (const name of links.when?.steps ?? []) if (Object.hasOwn(file.steps, name)) needs.add(name);
  for (const { step: read } of links.when?.reads ?? []) if (Object.hasOwn(file.steps, read)) needs.add(read);
  if (previous !== null) needs.add(previous);
  return [...needs];
}

/** In serial mode a step can only need steps above it. */
export function checkSerialOrder(steps: readonly StepPlan[], { problems }: Compilation): void {
  const seen = new Set<string>();
  const phaseOf = new Map(steps.map(({ name, phase }) => [name, phase]));
  for (const { name, needs, phase } of steps) {
    for (const need of needs) {
      if (seen.has(need) || need === name || phaseOf.get(need) !== phase) continue;
      problems.add(
        ["steps", name],
        `needs ${quote(need)}, which comes later; in serial mode steps run in file order`,
        "entry",
      );
    }
    seen.add(name);
  }
}

const ORDER = { main: 0, on_failure: 1, finally: 2 } as const;

/** A step can only need what has run before its phase, or runs in it. */
export function checkPhases(steps: readonly StepPlan[], { problems }: Compilation): void {
  const phaseOf = new Map(steps.map(({ name, phase }) => [name, phase]));
  for (const { name, needs, phase } of steps) {
    for (const need of needs) {
      const needed = phaseOf.get(need) ?? phase;
      if (ORDER[needed] <= ORDER[phase]) continue;
      problems.add(["steps", name], `needs ${quote(need)}, which runs later, in the phase ${needed}`, "entry");
    }
  }
}

/** Reports cycles, one for each group of steps that wait for each other, with the way around. */
export function checkCycles(steps: readonly StepPlan[], { problems }: Compilation): void {
  const byName = new Map(steps.map((step) => [step.name, step]));
  const state = new Map<string, "open" | "done">();
  const reported = new Set<string>();
  let [found, examined] = [0, 0];
  for (const { name } of steps) {
    if (state.has(name)) continue;
    // Depth first without recursion: a chain may be 5,000 long.
    const trail = [{ name, next: 0 }];
    state.set(name, "open");
    while (trail.length > 0) {
      const top = trail.at(-1)!;
      const need = byName.get(top.name)?.needs[top.next++];
      if (need === undefined) {
        state.set(top.name, "done");
        trail.pop();
      } else if (!state.has(need) && byName.has(need)) {
        state.set(need, "open");
        trail.push({ name: need, next: 0 });
      } else if (state.get(need) === "open" && found < CYCLES_MAX && examined++ < CYCLES_EXAMINED_MAX) {
        const names = trail.map((entry) => entry.name);
        const cycle = names.slice(names.indexOf(need));
        if (!cycle.some((member) => reported.has(member))) {
          report(cycle);
          found++;
        }
        for (const member of cycle) reported.add(member);
      }
    }
  }

  function report(cycle: readonly string[]): void {
    const around = [...cycle, cycle[0]!];
    const shown =
      around.length <= CYCLE_STEPS_SHOWN
        ? around
        : [
            ...around.slice(0, CYCLE_STEPS_SHOWN - 2),
            `… ${around.length - CYCLE_STEPS_SHOWN + 1} more …`,
            around.at(-1)!,
          ];
    problems.add(["steps", cycle[0]!], `steps wait for each other in a cycle: ${shown.join(" → ")}`, "entry");
  }
}
