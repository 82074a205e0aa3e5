import type { Duplex } from "node:stream";
import { finished } from "node:stream/promises";
import type { AttemptRef, AttemptSpec, Handle, Terminal } from "../execution-backend.ts";
import { specHash } from "../spec-hash.ts";
import { handOver } from "./attempts.ts";
import { containerConfig, type GpuAccess, shimEntry } from "./container-config.ts";
import { demultiplex } from "./demultiplex.ts";
import type { Engine } from "./engine.ts";
import { attemptLabels } from "./labels.ts";
import { type Platform, stepDefaults } from "./platform.ts";
import { removeContainer } from "./remove-container.ts";
import { networkOf, type ScopeNetworks } from "./scope-networks.ts";

/** From the end of its output to that of the container. */
const END_TIMEOUT_MS = 30_000;

export interface Entry {
  readonly installation: string;
  readonly platform: Platform;
  readonly gpuAccess: GpuAccess;
  readonly networks: () => Promise<ScopeNetworks>;
  readonly handle: Handle;
  readonly ref: AttemptRef;
  readonly spec: AttemptSpec;
  readonly terminal: Terminal;
}

/**
 * Runs a program at a terminal in a container that is like the attempt's in all but this: the program is in the
 * foreground in place of the shim, which keeps no terminal. Whatever becomes of it, the container is removed.
 */
export async function enterContainer(entry: Entry, signal: AbortSignal): Promise<number> {
  const { platform, networks, handle, ref, spec, terminal } = entry;
  const { engine } = platform;
  handOver(spec, platform.user.owner);
  const network = networkOf(ref, spec);
  const holder = network === null ? null : await (await networks()).ensure(network);
  signal.throwIfAborted();
  try {
    await engine.createContainer(handle.name, atTerminal(entry, holder));
    const stream = await engine.attachContainer(handle.name);
    const kill = () => void engine.killContainer(handle.name, "SIGKILL").catch(() => {});
    signal.addEventListener("abort", kill, { once: true });
    try {
      await converse(engine, handle.name, stream, terminal);
    } finally {
      signal.removeEventListener("abort", kill);
      stream.destroy();
    }
    await engine.waitContainer(handle.name, END_TIMEOUT_MS);
    return (await engine.inspectContainer(handle.name)).State.ExitCode;
  } finally {
    await removeContainer(engine, handle.name);
  }
}

function atTerminal({ installation, platform, gpuAccess, ref, spec, terminal }: Entry, holder: string | null): object {
  const labels = attemptLabels(installation, { ref, folder: spec.folder, specHash: specHash(spec) });
  const { shim, user } = platform;
  const networkMode = holder === null ? "none" : `container:${holder}`;
  const config = containerConfig(spec, {
    ...{ labels, shim, networkMode, gpuAccess, user: user.user, usernsMode: user.usernsMode },
    defaults: stepDefaults(platform),
    disks: platform.io.devices,
  }) as { readonly HostConfig: object };
  return {
    ...config,
    Entrypoint: shimEntry(spec, networkMode, "--exec"),
    ...{ Tty: terminal.isInteractive, OpenStdin: true, StdinOnce: true },
    ...{ AttachStdin: true, AttachStdout: true, AttachStderr: true },
    // A shell as PID 1 would not hear of signals that it has no handler for.
    HostConfig: { ...config.HostConfig, Init: true },
  };
}

/** Carries bytes both ways until the program's output ends. */
async function converse(engine: Engine, name: string, stream: Duplex, terminal: Terminal): Promise<void> {
  const { stdin, stdout, stderr, isInteractive } = terminal;
  const resize = () => {
    const size = terminal.size();
    if (size !== null) void engine.resizeContainer(name, size).catch(() => {});
  };
  using _raw = isInteractive ? terminal.raw() : null;
  // What is written before the start is kept for the program.
  stdin.pipe(stream);
  const ended = isInteractive
    ? copyTo(stream, (chunk) => stdout.write(chunk))
    : demultiplex(stream, { stdout, stderr });
  try {
    await engine.startContainer(name);
    resize();
    using _resized = terminal.onResize(resize);
    await ended;
  } finally {
    stdin.unpipe(stream);
    stdin.pause();
  }
}

async function copyTo(stream: Duplex, write: (chunk: Uint8Array) => void): Promise<void> {
  stream.on("data", write);
  await finished(stream, { writable: false });
}
