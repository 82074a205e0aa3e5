import fs from "node:fs";
import { closeSync, openSync } from "./node-fs.ts";
import { io } from "./virtual-time.ts";

/** What the agent uses of it: the synchronous call, a moment later. */

export async function copyFile(from: string, to: string, mode?: number): Promise<void> {
  await io();
  fs.copyFileSync(from, to, mode);
}

export async function mkdir(path: string, options?: fs.MakeDirectoryOptions): Promise<void> {
  await io();
  fs.mkdirSync(path, options);
}

export async function mkdtemp(prefix: string): Promise<string> {
  await io();
  return fs.mkdtempSync(prefix);
}

export async function readFile(path: string, encoding?: BufferEncoding): Promise<string | Buffer> {
  await io();
  return encoding === undefined ? fs.readFileSync(path) : fs.readFileSync(path, encoding);
}

export async function rm(path: string, options?: fs.RmOptions): Promise<void> {
  await io();
  fs.rmSync(path, options);
}

export async function statfs(path: string): Promise<fs.StatsFs> {
  await io();
  return fs.statfsSync(path);
}

export async function open(path: string, flags: string, mode?: number) {
  await io();
  const descriptor = openSync(path, flags, mode);
  return {
    fd: descriptor,
    stat: async () => fs.fstatSync(descriptor),
    read: async (buffer: Buffer, offset: number, length: number, position: number) => ({
      bytesRead: fs.readSync(descriptor, buffer, offset, length, position),
    }),
    write: async (buffer: Buffer) => ({ bytesWritten: fs.writeSync(descriptor, buffer) }),
    close: async () => closeSync(descriptor),
    [Symbol.asyncDispose]: async () => closeSync(descriptor),
  };
}
