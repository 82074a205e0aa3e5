// What the code of a pipeline hands around: outputs that are not there yet, parameters, and the ways to spread a step.

/** An output of a step. */
export class Output {
  /**
   * @param {Step} step
   * @param {string} name
   */
  constructor(step, name) {
    this.step = step;
    this.name = name;
  }

  toString() {
    return `${this.step.name}.${this.name}`;
  }
}

/** The outputs of a matrix or batch step, joined in one of the ways that the pipeline file knows. */
export class Gathered {
  /**
   * @param {Output} output
   * @param {string} how
   */
  constructor(output, how) {
    this.output = output;
    this.how = how;
  }
}

/** A step that was added: what others read from and wait for. */
export class Step {
  /**
   * @param {string} name
   * @param {readonly string[]} outputs
   */
  constructor(name, outputs) {
    this.name = name;
    /** @type {Readonly<Record<string, Output>>} */
    this.outputs = onlyThese(
      Object.fromEntries(outputs.map((output) => [output, new Output(this, output)])),
      `the step "${name}" has no output`,
    );
  }

  /** For conditions: `` when: `${train.state} == "failed"` `` */
  get state() {
    return `steps[${JSON.stringify(this.name)}].state`;
  }
}

/** Asked for by the language itself, of any object. */
const ASKED_OF_ALL = ["then", "toJSON"];

/**
 * A name that is not there throws: as `undefined` it would silently be left out of what is wired.
 *
 * @template T
 * @param {Readonly<Record<string, T>>} named
 * @param {string} missing
 * @returns {Readonly<Record<string, T>>}
 */
export function onlyThese(named, missing) {
  return new Proxy(named, {
    get(target, name) {
      if (typeof name === "symbol" || name in target || ASKED_OF_ALL.includes(name)) return Reflect.get(target, name);
      const names = Object.keys(target).join(", ");
      throw new TypeError(`${missing} ${JSON.stringify(name)}: it has ${names === "" ? "none" : names}`);
    },
  });
}

/** A parameter of the run. In texts it is its template. */
export class Param {
  /** @param {string} name */
  constructor(name) {
    this.name = name;
  }

  toString() {
    return `\${{ params.${this.name} }}`;
  }
}

/** Values of which each makes a run of the step. */
export class Matrix {
  /** @param {readonly (string | number | boolean)[]} values */
  constructor(values) {
    this.values = values;
  }
}

/** An output that is split, part by part. */
export class Each {
  /**
   * @param {Output | Step | Gathered} over
   * @param {Readonly<Record<string, unknown>>} options
   */
  constructor(over, options) {
    this.over = over;
    this.options = options;
  }
}

/**
 * Runs the step once for each of these values.
 *
 * @param {readonly (string | number | boolean)[]} values
 */
export function matrix(values) {
  return new Matrix([...values]);
}

/**
 * Splits an output, and runs the step once for each part.
 *
 * @param {Output | Step} over
 * @param {Readonly<Record<string, unknown>>} [options]
 */
export function each(over, options = {}) {
  return new Each(over, options);
}

/**
 * Joins the outputs of a matrix or batch step.
 *
 * @param {Output | Step} output
 * @param {"folder" | "lines" | "csv" | "json"} how
 */
export function gather(output, how) {
  return new Gathered(outputOf(output), how);
}

/**
 * The output that is meant: a step stands for its only one.
 *
 * @param {Output | Step} value
 */
export function outputOf(value) {
  if (value instanceof Output) return value;
  const [only, ...more] = Object.values(value.outputs);
  if (only !== undefined && more.length === 0) return only;
  const names = Object.keys(value.outputs);
  throw new TypeError(
    names.length === 0
      ? `the step "${value.name}" has no output`
      : `the step "${value.name}" has several outputs: say which, such as ${value.name}.outputs.${names[0]}`,
  );
}
