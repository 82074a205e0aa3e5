import { stripVTControlCharacters } from "node:util";
import { clip, visibleLength } from "../terminal/table.ts";

const HIDE_CURSOR = "\u001b[?25l";
const SHOW_CURSOR = "\u001b[?25h";
const CLEAR_BELOW = "\u001b[J";

/** Lines at the end of a terminal that are drawn again in place, with lasting lines printed above them. */
export class LiveRegion implements Disposable {
  readonly #write: (text: string) => void;
  readonly #columns: () => number;
  #drawn: string[] = [];
  #started = false;

  constructor(write: (text: string) => void, columns: () => number) {
    this.#write = write;
    this.#columns = columns;
  }

  /** Replaces the region; unchanged lines cost nothing when nothing changed at all. */
  draw(lines: readonly string[]): void {
    const fitted = lines.map((line) => fit(line, this.#columns() - 1));
    if (
      this.#started &&
      fitted.length === this.#drawn.length &&
      fitted.every((line, index) => line === this.#drawn[index])
    )
      return;
    const start = this.#started ? "" : HIDE_CURSOR;
    this.#started = true;
    this.#write(`${start}${this.#toTop()}${CLEAR_BELOW}${fitted.map((line) => `${line}\n`).join("")}`);
    this.#drawn = fitted;
  }

  /** Prints lines that stay, above the region. */
  print(lines: readonly string[]): void {
    const region = this.#drawn;
    this.#write(`${this.#toTop()}${CLEAR_BELOW}${[...lines, ...region].map((line) => `${line}\n`).join("")}`);
  }

  /** Leaves what is drawn where it is and gives the cursor back. */
  [Symbol.dispose](): void {
    if (this.#started) this.#write(SHOW_CURSOR);
    this.#started = false;
    this.#drawn = [];
  }

  #toTop(): string {
    return this.#drawn.length === 0 ? "" : `\u001b[${this.#drawn.length}A\r`;
  }
}

/** A line that wrapped would put the cursor arithmetic out, so that a longer one is cut, without its colours. */
function fit(line: string, columns: number): string {
  return visibleLength(line) <= columns ? line : clip(stripVTControlCharacters(line), columns);
}
