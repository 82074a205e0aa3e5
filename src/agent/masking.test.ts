import assert from "node:assert/strict";
import { appendFileSync, mkdirSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import { zstdDecompressSync } from "node:zlib";
import { pino } from "pino";
import { EVIDENCE_MAX_CHARS, fault, MESSAGE_MAX_CHARS } from "../protocol/faults.ts";
import { maskMessages } from "../protocol/mask-events.ts";
import { parseStepMessage } from "../protocol/step-message.ts";
import { MESSAGES_FILE, MessageLines } from "../runtime/message-lines.ts";
import { readNotes } from "../runtime/read-notes.ts";
import { MASKED_MIN_BYTES } from "../std/secret-forms.ts";
import { BuildLog } from "./build-log.ts";
import { Journal } from "./journal.ts";
import { KnownSecrets } from "./known-secrets.ts";
import { LogShipper, type LogSource } from "./log-shipper.ts";
import { maskedLog } from "./masked-log.ts";
import { Outbox } from "./outbox.ts";
import { runLog } from "./run-log.ts";

const SECRET = `s3cr3t "word"/+?'ünder' 100% ${"x1y2z3".repeat(6)}`;
const secrets = new KnownSecrets();
secrets.add([Buffer.from(SECRET)]);

const root = mkdtempSync(join(tmpdir(), "berth-masking-"));
after(() => rmSync(root, { recursive: true, force: true }));

const base64 = (text: string) => Buffer.from(text).toString("base64");
const hex = Buffer.from(SECRET).toString("hex");

/** How the secret is written. */
const ENCODINGS: Readonly<Record<string, string>> = {
  "as it is": SECRET,
  "in base64": base64(SECRET),
  "in base64 after a byte": base64(`:${SECRET}`),
  "in base64 after two bytes": base64(`u:${SECRET}`),
  "in base64 without padding": base64(SECRET).replace(/=+$/, ""),
  "in base64 for URLs": Buffer.from(SECRET).toString("base64url"),
  "in base64 in lines": base64(SECRET).replace(/.{64}/g, "$&\n"),
  "in hexadecimal": hex,
  "in upper-case hexadecimal": hex.toUpperCase(),
  "percent-encoded": encodeURIComponent(SECRET),
  "percent-encoded in lower case": encodeURIComponent(SECRET).replace(/%../g, (code) => code.toLowerCase()),
  "in JSON": JSON.stringify(SECRET).slice(1, -1),
};

/** Where `[1, length)` is cut. */
const SPLITS: Readonly<Record<string, (length: number) => number[]>> = {
  "in one piece": () => [],
  "cut after its first byte": () => [3],
  "cut in the middle": (length) => [length >> 1],
  "cut before its last byte": (length) => [length - 4],
  "cut in three": (length) => [Math.floor(length / 3), Math.floor((2 * length) / 3)],
  "byte by byte": (length) => Array.from({ length: length - 1 }, (_, index) => index + 1),
};

/** What a sink shows of a text that is handed to it in pieces. */
type Sink = (name: string, pieces: readonly Buffer[]) => Promise<string> | string;

const SINKS: Readonly<Record<string, Sink>> = {
  "the log of a step": async (_name, pieces) => {
    const file = new GrowingLog();
    const server = new StoredLog();
    const source = file.open();
    for (const piece of pieces) {
      file.append(piece);
      await server.takeFrom(source, false);
    }
    await server.takeFrom(source, true);
    return server.text;
  },
  "the log of a step whose agent starts anew at each cut": async (_name, pieces) => {
    const file = new GrowingLog();
    const server = new StoredLog();
    for (const piece of pieces) {
      file.append(piece);
      // The journal may be behind what the server has: it is sent again.
      server.resumeAt(server.text.length >> 1);
      await server.takeFrom(file.open(), false);
    }
    await server.takeFrom(file.open(), true);
    return server.text;
  },
  "the log of a build": (name, pieces) => {
    const file = join(root, "build", `${name}.log`);
    const log = new BuildLog(file, { stepRun: "s", attempt: 1 }, secrets);
    for (const piece of pieces) log.append(piece);
    log.end();
    return readFileSync(file, "latin1");
  },
  "the messages of a step": (name, pieces) => {
    const folder = join(root, "messages", name);
    mkdirSync(folder, { recursive: true });
    const text = Buffer.concat(pieces).toString();
    const line = Buffer.from(`${JSON.stringify({ type: "progress", message: text })}\n`);
    const lines = new MessageLines(folder, secrets.mask);
    const shown: string[] = [];
    for (const piece of cutAt(
      line,
      [...pieces.keys()].map((index) => 10 * (index + 1)),
    )) {
      appendFileSync(join(folder, MESSAGES_FILE), piece);
      for (const { text: read } of lines.next({ ended: false }) ?? []) shown.push(messageIn(read!));
    }
    return shown.join("");
  },
  "faults in events and the journal": async (name, pieces) => {
    const folder = join(root, "journal", name);
    const journal = Journal.open(folder, () => {});
    const stop = new AbortController();
    const outbox = outboxOf(journal, stop.signal);
    const text = Buffer.concat(pieces).toString();
    let kept = 0;
    for (const piece of pieces.slice(0, -1)) {
      kept += piece.toString().length;
      // What is too long is cut off: within the secret, wherever it is cut here.
      const message = `${"m".repeat(MESSAGE_MAX_CHARS - kept)}${text}`;
      const evidence = `${text}${"e".repeat(EVIDENCE_MAX_CHARS - (text.length - kept))}`;
      outbox.report({ type: "run.finished", state: "failed", fault: fault("exit-nonzero", message, { evidence }) });
    }
    outbox.report({ type: "run.finished", state: "failed", fault: fault("exit-nonzero", text, { evidence: text }) });
    stop.abort();
    journal[Symbol.dispose]();
    const written = readFileSync(join(folder, "journal.jsonl"), "utf8").trim().split("\n");
    const faults = written.map((line) => JSON.parse(line).events[0].body.fault);
    for (const { message, evidence } of faults.slice(0, -1)) {
      for (const side of [message.replace(/^m+/, ""), evidence.replace(/e+$/, "")]) assertShown(side);
    }
    assert.equal(faults.at(-1).message, faults.at(-1).evidence);
    return faults.at(-1).message;
  },
};

for (const [sink, show] of Object.entries(SINKS)) {
  for (const [encoding, written] of Object.entries(ENCODINGS)) {
    test(`a secret ${encoding} is not in ${sink}, wherever it is cut`, async () => {
      const printed = Buffer.from(`<${written}>\n`);
      const shown = new Map<string, string>();
      for (const [split, cutsOf] of Object.entries(SPLITS)) {
        const pieces = cutAt(printed, cutsOf(printed.length));
        shown.set(split, await show(`${encoding} ${split}`, pieces));
      }
      for (const [split, text] of shown) {
        assert.match(text, /^<.*\*\*\*.*>\n$/s, split);
        assertShown(text.slice(1, -2));
        assert.equal(text, shown.get("in one piece"), split);
      }
    });
  }
}

/** Most that base64 has of what stands before the secret. */
const BEFORE_MAX = 3;

/** Of a secret, only that may be seen which would be too short to be one. */
function assertShown(text: string): void {
  const visible = text.replace(/[*<>\n]/g, "");
  assert.ok(visible.length < MASKED_MIN_BYTES + BEFORE_MAX, `shown: ${text}`);
}

function cutAt(bytes: Buffer, cuts: readonly number[]): Buffer[] {
  const all = [0, ...cuts.filter((cut) => cut < bytes.length), bytes.length];
  return all.slice(1).map((cut, index) => bytes.subarray(all[index], cut));
}

function messageIn(line: string): string {
  const { message } = parseStepMessage(line);
  assert.equal(message?.type, "progress");
  const said = { stepRun: "s", attempt: 1, position: 0, done: null, total: null, message: message.message!, at: "" };
  return maskMessages({ progress: [said], metrics: [] }, secrets.mask).progress[0]!.message;
}

function outboxOf(journal: Journal, signal: AbortSignal): Outbox {
  return new Outbox({
    ...{ epoch: 1, mask: secrets.mask, journal, lastSeq: 0, pending: [], signal, log: pino({ level: "silent" }) },
    send: ({ events }) => Promise.resolve({ ackedSeq: events.at(-1)!.seq, cancel: null }),
    complete: (body) => body,
    restore: () => Promise.resolve(),
    onCancel: () => {},
    onRefused: (error) => assert.fail(error.message),
  });
}

/** A step's file of a log, as the backend lets it be read. */
class GrowingLog {
  #bytes = Buffer.alloc(0);

  append(bytes: Buffer): void {
    this.#bytes = Buffer.concat([this.#bytes, bytes]);
  }

  open(): LogSource {
    const read: LogSource["read"] = async (offset, maxBytes) => this.#bytes.subarray(offset, offset + maxBytes);
    return maskedLog({ stepRun: "s", attempt: 1, stream: "stdout", read }, () => secrets.masker);
  }
}

/** What the server has of a log: what it has already is compared, since it would be dropped. */
class StoredLog {
  text = "";
  #next = 0;

  resumeAt(offset: number): void {
    this.#next = offset;
  }

  async takeFrom(source: LogSource, hasEnded: boolean): Promise<void> {
    for (;;) {
      // As few as the rest of a request may have room for.
      const chunk = (await source.read(this.#next, 7, hasEnded)).toString("latin1");
      if (chunk === "") return;
      const known = this.text.slice(this.#next, this.#next + chunk.length);
      assert.ok(chunk.startsWith(known), `the server has ${known}, and is sent ${chunk}`);
      this.text += chunk.slice(known.length);
      this.#next += chunk.length;
    }
  }
}

test("a log is shipped to its last byte, each at its place, with asterisks for a secret", async (t) => {
  const stop = new AbortController();
  t.after(() => stop.abort());
  const log = new GrowingLog();
  const stored = Buffer.alloc(200_000);
  let end = 0;
  const shipper = new LogShipper({
    epoch: 1,
    send: async (body) => {
      const raw = zstdDecompressSync(body);
      const line = raw.indexOf(0x0a);
      const [{ offset, length }] = JSON.parse(raw.subarray(0, line).toString()).chunks;
      raw.copy(stored, offset, line + 1);
      end = Math.max(end, offset + length);
    },
    journalAcked: () => {},
    onRefused: (error) => assert.fail(error.message),
    signal: stop.signal,
    log: pino({ level: "silent" }),
  });
  const text = `${`${"plain text of a step ".repeat(100)}${SECRET}\n`.repeat(60)}ends with ${SECRET}`;
  log.append(Buffer.from(text));
  const source = log.open();
  shipper.follow(source, 0);
  await shipper.end(source);
  const asterisks = "*".repeat(Buffer.byteLength(SECRET));
  assert.equal(stored.toString("latin1", 0, end), text.replaceAll(SECRET, asterisks));
});

test("what a step says of its outputs has no secret in it, and what would not fit any more is left out", async () => {
  const folder = join(root, "notes");
  mkdirSync(folder, { recursive: true });
  const known = new KnownSecrets();
  known.add([Buffer.from("hunter2-token")]);
  const said = [
    { type: "output", name: "model", tags: { team: "a hunter2-token", "hunter2-token": "x" } },
    { type: "output", name: "model", tags: { owner: "me" }, schema: { "hunter2-token": ["hunter2-token"] } },
    { type: "output", name: "model", contentType: "text/hunter2-token" },
    { type: "output", name: "hunter2-token" },
  ];
  appendFileSync(join(folder, MESSAGES_FILE), said.map((line) => `${JSON.stringify(line)}\n`).join(""));
  const model = { path: "model", type: "file", optional: false, when: "success" } as const;
  const { notes, warnings } = await readNotes(folder, { model }, known.mask);
  assert.deepEqual(notes, { model: { tags: { owner: "me" }, schema: { "***": ["***"] } } });
  assert.match(warnings.join("\n"), /and so were/);
  assert.doesNotMatch(warnings.join("\n"), /hunter2/);
});

test("the agent's own log of a run has no secret in it: not in fields, and not in errors and their causes", () => {
  const lines: string[] = [];
  const log = pino({ level: "trace" }, { write: (line: string) => void lines.push(line) });
  const cause = Object.assign(new Error(`exec failed: --token=${SECRET}`), { argv: ["curl", SECRET] });
  const error = new Error(`the engine says: ${SECRET}`, { cause });
  const own = runLog(log, { run: "run_1", epoch: 2 }, secrets.mask);
  own.child({ stepRun: "s" }).error({ err: error, reason: SECRET, nested: { deep: [SECRET] } }, "it failed");
  const [line] = lines;
  assert.ok(!line!.includes("s3cr3t"), line);
  const { run, epoch, reason, nested, err } = JSON.parse(line!);
  assert.deepEqual(
    { run, epoch, reason, nested },
    { run: "run_1", epoch: 2, reason: "***", nested: { deep: ["***"] } },
  );
  assert.match(err.message, /^the engine says: \*\*\*: exec failed: --token=\*\*\*$/);
});

test("values that are too short, or known already, change nothing", () => {
  const known = new KnownSecrets();
  known.add([Buffer.from("hunter2-token"), Buffer.from("abc")]);
  const { masker } = known;
  known.add([Buffer.from("hunter2-token"), Buffer.from("\n")]);
  assert.equal(known.masker, masker);
  assert.equal(known.mask("abc hunter2-token"), "abc ***");
});
