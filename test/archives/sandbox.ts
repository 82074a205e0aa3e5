import assert from "node:assert/strict";
import {
  existsSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join, posix, relative, resolve } from "node:path";
import { removeTree } from "../../src/std/remove-tree.ts";

/** One hostile input takes milliseconds; this only tells a hang from a busy machine. */
const HANG_MS = 5_000;
/** What an input of a few kilobytes may make a process take, over what it had. */
const MEMORY_MAX_BYTES = 256 * 1024 * 1024;

/**
 * A folder with a target that is still to be made, deep enough that some levels up is still inside, and beside it what
 * nobody may touch. Each input is given a target of its own.
 */
export class Sandbox implements AsyncDisposable {
  readonly #root = mkdtempSync(join(tmpdir(), "berth-hostile-"));
  readonly outside = join(this.#root, "outside");
  readonly #work = join(this.#root, "a/b/c");
  readonly #before: string;
  #count = 0;

  constructor() {
    mkdirSync(this.#work, { recursive: true });
    mkdirSync(this.outside);
    writeFileSync(join(this.outside, "victim"), "as it was");
    this.#before = this.#listing();
  }

  /** Lets `write` make something of an input, and judges what is there then. True when the input was refused. */
  async judge(what: string, write: (target: string) => Promise<unknown>, isRefusal: (error: unknown) => boolean) {
    const target = join(this.#work, `t${this.#count++}`);
    const started = performance.now();
    const memory = process.memoryUsage().rss;
    let refused = false;
    try {
      await write(target);
    } catch (error) {
      assert.ok(isRefusal(error), `${what}: ${(error as Error).stack}`);
      refused = true;
    }
    assert.ok(performance.now() - started < HANG_MS, `${what} took too long`);
    assert.ok(process.memoryUsage().rss - memory < MEMORY_MAX_BYTES, `${what} took too much memory`);
    if (existsSync(target)) this.#checkInside(what, target);
    await removeTree(target);
    assert.equal(this.#listing(), this.#before, `${what} wrote outside of its target`);
    assert.ok(!existsSync("/tmp/berth-hostile-new"), what);
    return refused;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await removeTree(this.#root);
  }

  /** Everything but what lies in the place of targets, which is to be empty. */
  #listing(): string {
    const names = readdirSync(this.#root, { recursive: true, encoding: "utf8" }).sort();
    return JSON.stringify([names, readFileSync(join(this.outside, "victim"), "utf8")]);
  }

  /** Files with one name, folders, and links that stay inside: nothing else may come out of an archive. */
  #checkInside(what: string, target: string): void {
    for (const name of readdirSync(target, { recursive: true, encoding: "utf8" })) {
      const path = join(target, name);
      const stats = lstatSync(path);
      if (stats.isDirectory()) continue;
      if (!stats.isSymbolicLink()) {
        assert.ok(stats.isFile() && stats.nlink <= 2, `${what}: ${name} is no plain file`);
        assert.equal(stats.mode & 0o7022, 0, `${what}: ${name} has rights that no archive gives`);
        continue;
      }
      const leadsTo = relative(target, resolve(path, "..", readlinkSync(path)));
      assert.ok(leadsTo !== ".." && !leadsTo.startsWith(`..${posix.sep}`), `${what}: ${name} leads outside`);
    }
  }
}
