/**
 * Calls `work` for each item, at most `limit` at once. The first failure stops the rest from starting, is thrown when
 * what had started is over, and nothing is left running behind the caller's back.
 */
export async function forEachLimit<T>(items: Iterable<T>, limit: number, work: (item: T) => Promise<void>) {
  const iterator = items[Symbol.iterator]();
  let failure: { readonly error: unknown } | null = null;
  const lane = async () => {
    while (failure === null) {
      const next = iterator.next();
      if (next.done) return;
      try {
        await work(next.value);
      } catch (error) {
        failure ??= { error };
      }
    }
  };
  await Promise.all(Array.from({ length: limit }, lane));
  iterator.return?.();
  if (failure !== null) throw (failure as { readonly error: unknown }).error;
}
