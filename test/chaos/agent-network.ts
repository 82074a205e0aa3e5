import { spawnSync } from "node:child_process";
import { readdirSync } from "node:fs";
import { networkInterfaces } from "node:os";
import { isChaosRun } from "./left-behind.ts";

/** What an agent and its servers do not hear of each other any more. */
export type Cut = "everything" | "requests" | "answers";

/** Where `ip netns` keeps the namespaces that it names. */
const NAMESPACES = "/var/run/netns";
const PREFIX = "berth-chaos-";
/** RFC 2544: addresses for measurements between two machines, which no network uses. A /30 of it for each agent. */
const NETWORK = "198.18";

/**
 * A network namespace for one agent, with a pair of virtual interfaces as its only way to the servers. Packets are
 * dropped inside of it, so that whoever sends hears nothing, as on a real network. Everything in a namespace of this
 * name belongs to a chaos run: what one that was killed left behind is removed by the next one.
 */
export class AgentNetwork implements Disposable {
  /** Where the servers, which listen on every address, are found from inside. */
  readonly host: string;
  readonly #name: string;

  /** Why there can be none; null where there can. */
  static unavailable(): string | null {
    if (process.platform !== "linux" || process.getuid?.() !== 0) return "only root on Linux can make them";
    for (const [program, packageName] of [
      ["ip", "iproute2"],
      ["iptables", "iptables"],
      ["nsenter", "util-linux"],
    ] as const) {
      if (spawnSync(program, ["--version"]).error !== undefined)
        return `there is no ${program}: install ${packageName}`;
    }
    const probe = spawnSync("ip", ["netns", "add", `${PREFIX}${process.pid}-probe`], { encoding: "utf8" });
    if (probe.status !== 0) return probe.stderr.trim();
    removeNamespace(`${PREFIX}${process.pid}-probe`);
    return null;
  }

  /** Removes namespaces of chaos runs that are not there any more, with the processes in them. */
  static sweep(): string[] {
    const left = namespaces().filter((name) => !isChaosRun(Number(name.slice(PREFIX.length).split("-")[0])));
    for (const name of left) removeNamespace(name);
    return left;
  }

  constructor(index: number) {
    this.#name = `${PREFIX}${process.pid}-${index}`;
    const link = `bc${process.pid.toString(36)}-${index}`;
    const subnet = `${NETWORK}.${freeThirdByte()}`;
    this.host = `${subnet}.${4 * index + 1}`;
    try {
      ip("netns", "add", this.#name);
      ip("link", "add", link, "type", "veth", "peer", "name", "uplink", "netns", this.#name);
      ip("addr", "add", `${this.host}/30`, "dev", link);
      ip("link", "set", link, "up");
      ip("-n", this.#name, "addr", "add", `${subnet}.${4 * index + 2}/30`, "dev", "uplink");
      ip("-n", this.#name, "link", "set", "uplink", "up");
      ip("-n", this.#name, "link", "set", "lo", "up");
    } catch (error) {
      this[Symbol.dispose]();
      throw error;
    }
  }

  /** What a program has to be started through to be inside; only its network is another one. */
  get through(): readonly string[] {
    return ["nsenter", `--net=${NAMESPACES}/${this.#name}`, "--"];
  }

  /** From now on what was cut off is dropped in silence; connections that are open hear nothing of it. */
  cut(what: Cut): void {
    if (what !== "answers") this.#iptables("-A", "OUTPUT", "-o", "uplink", "-j", "DROP");
    if (what !== "requests") this.#iptables("-A", "INPUT", "-i", "uplink", "-j", "DROP");
  }

  heal(): void {
    this.#iptables("-F");
  }

  [Symbol.dispose](): void {
    removeNamespace(this.#name);
  }

  #iptables(...args: readonly string[]): void {
    const [program, ...rest] = [...this.through, "iptables", "-w", ...args];
    must(program!, rest);
  }
}

/** The first network without an address on this machine; the runs of one process share one. */
let thirdByte: number | undefined;
function freeThirdByte(): number {
  if (thirdByte !== undefined) return thirdByte;
  const used = Object.values(networkInterfaces()).flatMap((list) => (list ?? []).map(({ address }) => address));
  for (let tried = 0; tried < 256; tried++) {
    const candidate = (process.pid + tried) % 256;
    if (used.some((address) => address.startsWith(`${NETWORK}.${candidate}.`))) continue;
    thirdByte = candidate;
    return candidate;
  }
  throw new Error(`every network of ${NETWORK}.0.0/16 is in use`);
}

function namespaces(): string[] {
  try {
    return readdirSync(NAMESPACES).filter((name) => name.startsWith(PREFIX));
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return [];
    throw error;
  }
}

/** Its interfaces, both ends of them, go with a namespace as soon as no process is in it. */
function removeNamespace(name: string): void {
  const inside = spawnSync("ip", ["netns", "pids", name], { encoding: "utf8" }).stdout ?? "";
  for (const pid of inside.split("\n").filter(Boolean)) kill(Number(pid));
  spawnSync("ip", ["netns", "del", name]);
}

function kill(pid: number): void {
  try {
    process.kill(pid, "SIGKILL");
  } catch {
    // It ended by itself.
  }
}

function ip(...args: readonly string[]): void {
  must("ip", args);
}

function must(program: string, args: readonly string[]): void {
  const { status, stderr, error } = spawnSync(program, args, { encoding: "utf8" });
  if (status !== 0) throw new Error(`${program} ${args.join(" ")}: ${error?.message ?? stderr.trim()}`);
}
