/** The step does not fit its declaration, which is for its author to mend; shown without a stack. */
export class StepError extends Error {
  /** @override */
  name = "StepError";
}
