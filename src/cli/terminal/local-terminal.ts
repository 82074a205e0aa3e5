import type { Terminal } from "../../backends/execution-backend.ts";

/** The terminal, or the pipes, of this process. */
export function localTerminal(): Terminal {
  const { stdin, stdout, stderr } = process;
  const isInteractive = stdin.isTTY === true && stdout.isTTY === true;
  return {
    ...{ isInteractive, stdin, stdout, stderr },
    size: () => (isInteractive ? { columns: stdout.columns, rows: stdout.rows } : null),
    onResize(listener) {
      stdout.on("resize", listener);
      return { [Symbol.dispose]: () => void stdout.off("resize", listener) };
    },
    raw() {
      stdin.setRawMode(true);
      return { [Symbol.dispose]: () => void stdin.setRawMode(false) };
    },
  };
}
