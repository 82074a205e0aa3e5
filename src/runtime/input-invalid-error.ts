/** An input that cannot be what the step declared: it stays so however often it is tried. */
export class InputInvalidError extends Error {
  override readonly name = "InputInvalidError";
}
