import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { type FileHandle, open } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { KnownSecrets } from "../src/agent/known-secrets.ts";
import type { LogSource } from "../src/agent/log-shipper.ts";
import { maskedLog } from "../src/agent/masked-log.ts";
import { elapsedMs, interleaved, spread } from "./measure.ts";
import type { Finding } from "./report.ts";

const LOG_BYTES = 64 * 1024 * 1024;
/** As the agent reads a log that it is behind with. */
const READ_BYTES = 512 * 1024;
const SECRETS = 50;
/** What masking has to keep up with. */
const LIMIT_MB_PER_S = 200;

/** What it costs that the secrets of a run are looked for in all that its steps print: the log as it is, and masked. */
export async function masking(rounds: number): Promise<Finding> {
  const folder = mkdtempSync(join(tmpdir(), "berth-bench-masking-"));
  const texts = { lines: linesOfLog(), base64: noise((LOG_BYTES / 4) * 3).toString("base64") };
  const secrets = new KnownSecrets();
  secrets.add(Array.from({ length: SECRETS }, (_, index) => secretOf(index)));
  const files: FileHandle[] = [];
  try {
    const contenders: Record<string, () => Promise<number>> = {};
    for (const [name, text] of Object.entries(texts)) {
      const path = join(folder, name);
      writeFileSync(path, text);
      const file = await open(path);
      files.push(file);
      const plain = sourceOf(file);
      const masked = maskedLog(plain, () => secrets.masker);
      contenders[`${name}, read`] = () => elapsedMs(() => readAll(plain));
      contenders[`${name}, read and masked`] = () => elapsedMs(() => readAll(masked));
    }
    const series = await interleaved(contenders, rounds);
    const megabytesPerSecond = (name: string) => LOG_BYTES / 1e6 / (spread(series.get(name)!.values).median / 1000);
    return {
      title: "Masking of logs",
      table: [["what", "MB/s"], ...[...series.keys()].map((name) => [name, megabytesPerSecond(name).toFixed(0)])],
      ratios: Object.keys(texts).map((name) => ({
        what: `${name}: MB/s with ${SECRETS} secrets / ${LIMIT_MB_PER_S}`,
        value: megabytesPerSecond(`${name}, read and masked`) / LIMIT_MB_PER_S,
        atLeast: 1,
      })),
      notes: [
        `${LOG_BYTES / 1024 / 1024} MiB in reads of ${READ_BYTES / 1024} KiB, in one thread; of the ${SECRETS} secrets every ` +
          "tenth is a private key of 26 lines, the others are tokens and passwords.",
      ],
    };
  } finally {
    await Promise.all(files.map((file) => file.close()));
    rmSync(folder, { recursive: true, force: true });
  }
}

function sourceOf(file: FileHandle): LogSource {
  const read: LogSource["read"] = async (offset, maxBytes) => {
    const buffer = Buffer.allocUnsafe(maxBytes);
    const { bytesRead } = await file.read(buffer, 0, maxBytes, offset);
    return buffer.subarray(0, bytesRead);
  };
  return { stepRun: "s", attempt: 1, stream: "stdout", read };
}

async function readAll(source: LogSource): Promise<void> {
  let offset = 0;
  for (;;) {
    const { length } = await source.read(offset, READ_BYTES, true);
    if (length === 0) break;
    offset += length;
  }
  if (offset !== LOG_BYTES) throw new Error(`${offset} bytes of the log were read instead of ${LOG_BYTES}`);
}

function secretOf(index: number): Buffer {
  if (index % 10 > 0)
    return Buffer.from(index % 2 === 0 ? `p@ss/${index} ${noise(9, index).toString("hex")}` : token(index));
  const lines = noise(1200, index)
    .toString("base64")
    .match(/.{1,64}/g)!;
  return Buffer.from(`-----BEGIN PRIVATE KEY-----\n${lines.join("\n")}\n-----END PRIVATE KEY-----\n`);
}

function token(index: number): string {
  return noise(30, index).toString("base64url");
}

function linesOfLog(): string {
  const lines: string[] = [];
  for (let bytes = 0, n = 0; bytes < LOG_BYTES; n++) {
    const time = new Date(1_800_000_000_000 + n * 7).toISOString();
    const line = `${time} INFO worker-${n % 7}: batch ${n} of 10000 in ${(n * 7) % 991} ms, https://example.org/items?page=${n}&q=a%20b {"user":"u${n % 5003}","ok":true}\n`;
    bytes += line.length;
    lines.push(line);
  }
  return lines.join("").slice(0, LOG_BYTES);
}

/** Bytes without a pattern, the same each time. */
function noise(length: number, seed = 1): Buffer {
  let state = seed + 0x9e3779b9;
  return Buffer.from(
    Array.from({ length }, () => {
      state = (Math.imul(state, 1_664_525) + 1_013_904_223) | 0;
      return state >>> 24;
    }),
  );
}
