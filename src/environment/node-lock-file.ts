/** `package.json` beside the lock file, and the lock file. */
export function nodeFiles(lockfile: string): string[] {
  return [lockfile.replace(/[^/]*$/, "package.json"), lockfile];
}

export function isYarnLock(lockfile: string | null): boolean {
  return lockfile?.endsWith("yarn.lock") === true;
}
