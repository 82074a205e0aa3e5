import { fileURLToPath } from "node:url";

const OWN_FOLDER = new URL("..", import.meta.url).href;

/** @typedef {{ readonly file: string, readonly line: number, readonly column: number }} Place */

/**
 * Where in the user's code an error was made: in the file that is compiled if it passed there, or else the nearest.
 *
 * @param {Error} error
 * @param {string} [mainFile]
 * @returns {Place | undefined}
 */
export function placeOf(error, mainFile) {
  // What cannot be parsed is shown by Node above the stack: `/app/pipeline.ts:3`, the line, and a mark below it.
  const [, file, line, mark] = /^(?:file:\/\/)?(\/.+):(\d+)\n.*\n( *)\^/.exec(error.stack ?? "") ?? [];
  if (file !== undefined) return { file, line: Number(line), column: (mark?.length ?? 0) + 1 };
  const frames = [...(error.stack ?? "").matchAll(/(file:\/\/[^\s()]+?):(\d+)(?::(\d+))?\)?$/gm)]
    .map(([, url = "", row, column]) => ({ url, line: Number(row), column: Number(column ?? 1) }))
    .filter(({ url }) => !url.startsWith(OWN_FOLDER))
    .map(({ url, ...rest }) => ({ file: fileURLToPath(url), ...rest }));
  return frames.find((frame) => frame.file === mainFile) ?? frames[0];
}
