import { readFileSync } from "node:fs";
import { join, posix } from "node:path";

/** Where the files of one container's cgroup are; version 1 has a folder for each controller. */
export type CgroupFolders =
  | { readonly version: 1; readonly cpu: string; readonly memory: string; readonly pids: string; readonly io: string }
  | { readonly version: 2; readonly folder: string };

export interface ContainerProcess {
  readonly pid: number;
  /** The whole id of the container: another process may have this pid where the agent sees other pids than the engine. */
  readonly id: string;
}

/**
 * Finds the cgroup of a container by its first process; null where it is out of this process's sight. The paths in
 * `/proc/PID/cgroup` begin at the root of this process's own cgroup namespace, as do the roots of its mounts: only both
 * together lead to a file. `root` is what stands before `/proc` and the mount points.
 */
export function containerCgroup({ pid, id }: ContainerProcess, root = "/"): CgroupFolders | null {
  const groups = readText(join(root, `proc/${pid}/cgroup`));
  const mounted = readText(join(root, "proc/self/mountinfo"));
  if (groups === null || mounted === null) return null;
  const mounts = parseMounts(mounted);
  const folderOf = (controller: string | null): string | null => {
    const path = pathOf(groups, controller);
    if (path === null || !path.includes(id)) return null;
    const folder = mounts
      .filter(({ controllers }) => (controller === null ? controllers === null : controllers?.includes(controller)))
      .map((mount) => below(mount, path))
      .find((found) => found !== null);
    return folder === undefined ? null : join(root, folder);
  };
  const [cpu, memory, pids, io] = ["cpuacct", "memory", "pids", "blkio"].map(folderOf);
  if (cpu != null && memory != null) return { version: 1, cpu, memory, pids: pids ?? "", io: io ?? "" };
  const folder = folderOf(null);
  return folder === null ? null : { version: 2, folder };
}

interface CgroupMount {
  /** What of the hierarchy is mounted, in the namespace's own paths. */
  readonly root: string;
  readonly point: string;
  /** Null: version 2. */
  readonly controllers: readonly string[] | null;
}

/** Lines such as `30 23 0:26 / /sys/fs/cgroup/memory rw,nosuid - cgroup cgroup rw,memory`. */
function parseMounts(text: string): CgroupMount[] {
  return text.split("\n").flatMap((line) => {
    const [place = "", system = ""] = line.split(" - ");
    const [type, , options = ""] = system.split(" ");
    const [, , , root, point] = place.split(" ");
    if (root === undefined || point === undefined || (type !== "cgroup" && type !== "cgroup2")) return [];
    const controllers = type === "cgroup" ? options.split(",") : null;
    return [{ root: unescaped(root), point: unescaped(point), controllers }];
  });
}

/** The path of a controller in lines such as `4:cpu,cpuacct:/docker/<id>`; null asks for version 2. */
function pathOf(groups: string, controller: string | null): string | null {
  for (const line of groups.split("\n")) {
    const [number, controllers, ...path] = line.split(":");
    const isIt = controller === null ? number === "0" : controllers?.split(",").includes(controller);
    if (isIt) return path.join(":");
  }
  return null;
}

/** Where the path is found below a mount; null where only a part of the hierarchy is mounted, and that is not in it. */
function below({ root, point }: CgroupMount, path: string): string | null {
  // Both may begin with steps up from the namespace's root: from the same place, they are compared as they are.
  const parts = path.split("/").filter((part) => part !== "");
  const above = root.split("/").filter((part) => part !== "");
  if (!above.every((part, index) => parts[index] === part)) return null;
  const rest = parts.slice(above.length);
  return rest.includes("..") ? null : posix.join(point, ...rest);
}

/** The kernel writes a space as `\040`. */
function unescaped(path: string): string {
  return path.replace(/\\([0-7]{3})/g, (_, code: string) => String.fromCharCode(Number.parseInt(code, 8)));
}

/** Null when it is not there, or went away while it was read. */
function readText(path: string): string | null {
  try {
    return readFileSync(path, "utf8");
  } catch {
    return null;
  }
}
