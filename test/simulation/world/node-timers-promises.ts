import { scheduler } from "./virtual-time.ts";

interface TimerOptions {
  readonly signal?: AbortSignal | undefined;
}

export function setTimeout<T>(ms = 1, value?: T, { signal }: TimerOptions = {}): Promise<T | undefined> {
  return new Promise((resolve, reject) => {
    const onAbort = () => {
      timer.cancel();
      reject(Object.assign(new Error("The operation was aborted", { cause: signal?.reason }), ABORTED));
    };
    const timer = scheduler().schedule(Math.max(1, ms), () => {
      signal?.removeEventListener("abort", onAbort);
      resolve(value);
    });
    if (signal?.aborted) onAbort();
    else signal?.addEventListener("abort", onAbort, { once: true });
  });
}

const ABORTED = { name: "AbortError", code: "ABORT_ERR" };

export function setImmediate<T>(value?: T): Promise<T | undefined> {
  return new Promise((resolve) => scheduler().schedule(0, () => resolve(value)));
}
