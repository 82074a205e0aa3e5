/** Pipelines for the benchmarks, as JSON that `POST /runs` takes. */

type Step = Record<string, unknown>;

function pipeline(name: string, environment: object | undefined, steps: Record<string, Step>): object {
  return { name, ...(environment === undefined ? {} : { environment }), steps };
}

/** `length` steps, each needing the one before; `link` makes a step from the name of the one before it. */
export function chain(
  name: string,
  length: number,
  environment: object | undefined,
  link: (before: string | null) => Step,
) {
  const steps: Record<string, Step> = {};
  let before: string | null = null;
  for (let index = 0; index < length; index++) {
    const step = `s${index}`;
    steps[step] = { ...link(before), ...(before === null ? {} : { needs: [before] }) };
    before = step;
  }
  return pipeline(name, environment, steps);
}

const PER_DIMENSION = 100;

/** `width` step runs (up to 100, or a multiple of it) that need nothing of each other, as one matrix. */
export function fanOut(name: string, width: number, environment: object | undefined, step: Step): object {
  const upTo = (count: number) => Array.from({ length: count }, (_, index) => index);
  const matrix =
    width <= PER_DIMENSION
      ? { index: upTo(width) }
      : { block: upTo(Math.ceil(width / PER_DIMENSION)), index: upTo(PER_DIMENSION) };
  return pipeline(name, environment, { work: { ...step, matrix } });
}
