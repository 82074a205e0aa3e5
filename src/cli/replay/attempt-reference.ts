import { usageError } from "../cli-error.ts";

/** One step run of one run, as people name it: `wine#12/train[model=knn]`. */
export interface StepRunReference {
  readonly run: string;
  /** A step run's key, or the name of a step that has only one. */
  readonly stepRun: string;
}

/** A value of a matrix may hold a slash, so the first one divides: no name of a run holds any. */
export function parseStepRunReference(text: string): StepRunReference {
  const slash = text.indexOf("/");
  const [run, stepRun] = slash < 0 ? [text, ""] : [text.slice(0, slash), text.slice(slash + 1)];
  if (run !== "" && stepRun !== "") return { run, stepRun };
  throw usageError(
    `"${text}" names no step of a run.`,
    "Write it like wine#12/train, or 'wine#12/score[7]' for an item.",
  );
}
