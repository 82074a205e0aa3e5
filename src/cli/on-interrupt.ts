/** Calls `handler` at each SIGINT and SIGTERM, with the number of them so far, until disposed. */
export function onInterrupt(handler: (count: number, signal: NodeJS.Signals) => void): Disposable {
  let count = 0;
  const onSignal = (signal: NodeJS.Signals) => handler(++count, signal);
  process.on("SIGINT", onSignal);
  process.on("SIGTERM", onSignal);
  return {
    [Symbol.dispose]() {
      process.off("SIGINT", onSignal);
      process.off("SIGTERM", onSignal);
    },
  };
}
