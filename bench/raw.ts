import { spawn } from "node:child_process";

/** Runs a command to its end, `count` times with `parallel` at once; throws when one fails. Returns milliseconds. */
export async function spawnRepeatedly(
  command: readonly [string, ...string[]],
  options: { readonly count: number; readonly parallel: number },
): Promise<number> {
  const startedAt = performance.now();
  let left = options.count;
  const lane = async () => {
    while (left-- > 0) await spawnOnce(command);
  };
  await Promise.all(Array.from({ length: options.parallel }, lane));
  return performance.now() - startedAt;
}

export function spawnOnce(
  [program, ...args]: readonly [string, ...string[]],
  cwd?: string,
  env: NodeJS.ProcessEnv = process.env,
): Promise<void> {
  return new Promise((done, fail) => {
    const child = spawn(program, args, { stdio: "ignore", env, ...(cwd === undefined ? {} : { cwd }) });
    child.once("error", fail);
    child.once("exit", (code) => (code === 0 ? done() : fail(new Error(`${program} ${args.join(" ")}: exit ${code}`))));
  });
}

/** Whether a program is there to compare with. */
export async function isInstalled(program: string): Promise<boolean> {
  return await spawnOnce(["sh", "-c", `command -v ${program}`]).then(
    () => true,
    () => false,
  );
}
