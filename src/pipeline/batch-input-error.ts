/** What was to be split or joined is not of its format. Says nothing about Berth: the step's input is at fault. */
export class BatchInputError extends Error {
  override readonly name = "BatchInputError";
  /** Byte where it shows; null where no one byte is at fault. */
  readonly offset: number | null;

  constructor(message: string, offset: number | null = null) {
    super(offset === null ? message : `${message} (at byte ${offset})`);
    this.offset = offset;
  }
}
