/**
 * What a step does in a contract case, as data: real backends run it as a shell script, a fake interprets it. Cases
 * that are about real programs are written in `sh` directly.
 */
export type Program = readonly Action[];

export type Action =
  | { readonly do: "print"; readonly text: string; readonly stream?: "stdout" | "stderr" }
  /** Appends to a file under `out`. */
  | { readonly do: "append"; readonly file: string; readonly text: string }
  /** Goes on when the file exists under `out`: the test writes it. */
  | { readonly do: "await"; readonly file: string }
  /** On TERM: prints, and exits with the code. */
  | { readonly do: "on-term"; readonly print: string; readonly exit: number }
  | { readonly do: "ignore-term" }
  | { readonly do: "hang" }
  | { readonly do: "exit"; readonly code: number };

/** The program as a POSIX shell script. */
export function shellScript(program: Program): string {
  return program.map(shellLines).join("\n");
}

function shellLines(action: Action): string {
  if (action.do === "print") return `printf %s ${quote(action.text)}${action.stream === "stderr" ? " >&2" : ""}`;
  if (action.do === "append") return `printf %s ${quote(action.text)} >> "$BERTH_OUT"/${quote(action.file)}`;
  if (action.do === "await") return `while [ ! -e "$BERTH_OUT"/${quote(action.file)} ]; do sleep 0.05; done`;
  if (action.do === "on-term") return `trap ${quote(`printf %s ${quote(action.print)}; exit ${action.exit}`)} TERM`;
  if (action.do === "ignore-term") return "trap '' TERM";
  if (action.do === "hang") return "while :; do sleep 0.1; done";
  return `exit ${action.code}`;
}

/** As one word of a shell script, whatever it holds. */
export function quote(text: string): string {
  return `'${text.replaceAll("'", `'\\''`)}'`;
}
