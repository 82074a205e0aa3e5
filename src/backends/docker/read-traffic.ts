import { readFileSync } from "node:fs";

export interface Traffic {
  readonly received: number;
  readonly sent: number;
}

/** Bytes through the network namespace of a process, since that was made; null when the process is gone. */
export function readTraffic(pid: number): Traffic | null {
  try {
    return parseTraffic(readFileSync(`/proc/${pid}/net/dev`, "utf8"));
  } catch {
    return null;
  }
}

/** All interfaces but the loopback; of the sixteen figures of a line received bytes are the first, sent ones the ninth. */
export function parseTraffic(text: string): Traffic {
  const lines = text.split("\n").flatMap((line) => {
    const [, name, figures] = /^\s*([^:]+):\s*(.*)$/.exec(line) ?? [];
    return name === undefined || name === "lo" ? [] : [figures!.split(/\s+/).map(Number)];
  });
  const sum = (index: number) => lines.reduce((total, figures) => total + (figures[index] ?? 0), 0);
  return { received: sum(0), sent: sum(8) };
}
