import { currentProcess, scheduler, wallClockMs } from "./virtual-time.ts";

/** What every program finds without an import, by the simulation's clock and seed. */
export function replaceGlobals(): void {
  const real = { setTimeout, clearTimeout, setInterval, clearInterval, setImmediate, clearImmediate };
  // What belongs to no simulated process, such as a real database's client, has real timers.
  const isOutside = () => currentProcess() === undefined;
  const clear = (kind: "clearTimeout" | "clearInterval" | "clearImmediate") => (timer: unknown) => {
    if (timer instanceof VirtualTimer) timer.cancel();
    else real[kind](timer as never);
  };
  Object.assign(globalThis, {
    Date: VirtualDate,
    setTimeout: (act: (...args: unknown[]) => void, ms = 0, ...args: unknown[]) =>
      isOutside() ? real.setTimeout(act, ms, ...args) : new VirtualTimer(() => act(...args), Math.max(1, ms), false),
    setInterval: (act: (...args: unknown[]) => void, ms = 0, ...args: unknown[]) =>
      isOutside() ? real.setInterval(act, ms, ...args) : new VirtualTimer(() => act(...args), Math.max(1, ms), true),
    setImmediate: (act: (...args: unknown[]) => void, ...args: unknown[]) =>
      isOutside() ? real.setImmediate(act, ...args) : new VirtualTimer(() => act(...args), 0, false),
    clearTimeout: clear("clearTimeout"),
    clearInterval: clear("clearInterval"),
    clearImmediate: clear("clearImmediate"),
  });
  Math.random = () => scheduler().random.next();
  Object.defineProperty(performance, "now", { value: () => scheduler().nowMs });
  const realTimeout = AbortSignal.timeout;
  AbortSignal.timeout = (ms) => {
    if (isOutside()) return realTimeout.call(AbortSignal, ms);
    const controller = new AbortController();
    scheduler().schedule(ms, () => controller.abort(new DOMException("The operation timed out.", "TimeoutError")));
    return controller.signal;
  };
}

class VirtualDate extends Date {
  constructor(...args: readonly unknown[]) {
    super(...((args.length === 0 ? [wallClockMs()] : args) as [number]));
  }

  static override now(): number {
    return wallClockMs();
  }
}

/** What setTimeout and its like return. */
class VirtualTimer implements Disposable {
  #scheduled: { cancel(): void };

  constructor(act: () => void, ms: number, repeats: boolean) {
    const arm = (): { cancel(): void } =>
      scheduler().schedule(ms, () => {
        if (repeats) this.#scheduled = arm();
        act();
      });
    this.#scheduled = arm();
  }

  cancel(): void {
    this.#scheduled.cancel();
  }

  ref(): this {
    return this;
  }

  unref(): this {
    return this;
  }

  hasRef(): boolean {
    return true;
  }

  [Symbol.dispose](): void {
    this.cancel();
  }
}
