import type { Logger } from "pino";

/** What agents log, a line each, for who reads a trace. */
export function tracingLog(onLine: (line: string) => void): Logger {
  const write = (level: string) => (context: object, message: string) => {
    const { err, ...rest } = context as { err?: Error };
    const cause = err === undefined ? "" : ` ${err.stack ?? err.message}`;
    onLine(`${level} ${message} ${JSON.stringify(rest)}${cause}`);
  };
  const log = { info: write("info"), warn: write("warn"), error: write("error"), debug: () => {}, child: () => log };
  return log as unknown as Logger;
}
