/**
 * Two copies of this package may be loaded, that of the step's own packages and Berth's: a business error of either is
 * one, so it is told by this mark and not by its class.
 */
const MARK = Symbol.for("berth.BusinessError");

/** The step did what it should, and the data or a rule is wrong: trying again would change nothing. */
export class BusinessError extends Error {
  /**
   * @param {string} [message]
   * @param {ErrorOptions} [options]
   */
  constructor(message, options) {
    super(message, options);
    this.name = new.target.name;
    Object.defineProperty(this, MARK, { value: true });
  }
}

/**
 * @param {unknown} error
 * @returns {error is Error}
 */
export function isBusinessError(error) {
  return error instanceof Error && MARK in error;
}
