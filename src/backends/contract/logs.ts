import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { setTimeout } from "node:timers/promises";
import { type ContractGroup, NEEDS } from "./case.ts";
import type { Laid, Rig } from "./rig.ts";

const MIB = 1024 * 1024;
const LONG_LOG_BYTES = 100_000_000;
/** The reader holds a few chunks; what is left over is the runtime's own taste for garbage. */
const MEMORY_GROWTH_BYTES_MAX = 150 * MIB;
/** A held pipe is not waited for. */
const END_WITHIN_MS = 5_000;

/** Every byte, in order per stream, however it was written and whoever reads it. */
export const LOGS: ContractGroup = {
  title: "logs",
  cases: [
    {
      title: "both streams are kept apart, each in order, without a last newline too",
      async run(rig) {
        const { handle } = await rig.run([
          { do: "print", text: "out 1\n" },
          { do: "print", text: "err 1\n", stream: "stderr" },
          { do: "print", text: "out 2" },
          { do: "print", text: "err 2", stream: "stderr" },
        ]);
        assert.equal((await rig.log(handle)).toString(), "out 1\nout 2");
        assert.equal((await rig.log(handle, "stderr")).toString(), "err 1\nerr 2");
      },
    },
    {
      title: "a step that prints nothing has empty logs",
      async run(rig) {
        const { handle } = await rig.run([{ do: "exit", code: 0 }]);
        assert.equal((await rig.log(handle)).length, 0);
        assert.equal((await rig.log(handle, "stderr")).length, 0);
      },
    },
    {
      title: "NUL, carriage returns, bytes that are no text, and characters across 16 KiB come out as they went in",
      needs: [NEEDS.programs],
      async run(rig) {
        // 16,383 letters put the first byte of a two-byte character at the end of a 16 KiB line.
        const script = [
          "printf 'a\\000b\\rc\\r\\n\\377\\376\\n'",
          "head -c 16383 /dev/zero | tr '\\0' x",
          "printf '\\303\\251\\n'",
        ].join("; ");
        const { handle } = await rig.runShell(script);
        const expected = Buffer.concat([
          Buffer.from("a\0b\rc\r\n\xff\xfe\n", "latin1"),
          Buffer.from(`${"x".repeat(16383)}é\n`),
        ]);
        assert.ok((await rig.log(handle)).equals(expected), "byte for byte");
      },
    },
    {
      title: "a line of 1 MB is one line",
      needs: [NEEDS.programs],
      async run(rig) {
        const { handle } = await rig.runShell(`head -c ${MIB} /dev/zero | tr '\\0' y; echo`);
        assert.ok((await rig.log(handle)).equals(Buffer.from(`${"y".repeat(MIB)}\n`)));
      },
    },
    {
      title: "100 MB are followed live and whole, in little memory",
      needs: [NEEDS.programs],
      async run(rig) {
        const laid = await rig.layShell(`yes 'a line of a long log' | head -c ${LONG_LOG_BYTES}`);
        await rig.submit(laid);
        const before = process.memoryUsage().rss;
        const digest = createHash("sha256");
        let bytes = 0;
        let peak = before;
        for await (const chunk of rig.session.logs(laid.handle, "stdout", { offset: 0, follow: true })) {
          digest.update(chunk);
          bytes += chunk.length;
          if (bytes % (16 * MIB) < chunk.length) peak = Math.max(peak, process.memoryUsage().rss);
        }
        assert.equal(bytes, LONG_LOG_BYTES);
        const line = "a line of a long log\n";
        const expected = Buffer.alloc(LONG_LOG_BYTES, line);
        assert.equal(digest.digest("hex"), createHash("sha256").update(expected).digest("hex"));
        assert.ok(peak - before < MEMORY_GROWTH_BYTES_MAX, `memory grew by ${(peak - before) / MIB} MiB`);
      },
    },
    {
      title: "a follower gets bytes while the step runs, and ends when the attempt is over and all was read",
      async run(rig) {
        const laid = await rig.start([
          { do: "print", text: "early\n" },
          { do: "await", file: "go" },
          { do: "print", text: "late\n" },
        ]);
        const chunks = rig.session.logs(laid.handle, "stdout", { offset: 0, follow: true })[Symbol.asyncIterator]();
        assert.equal(Buffer.from((await chunks.next()).value).toString(), "early\n");
        await rig.untilRunning(laid.handle);
        rig.tell(laid);
        let rest = "";
        for (let next = await chunks.next(); !next.done; next = await chunks.next()) {
          rest += Buffer.from(next.value).toString();
        }
        assert.equal(rest, "late\n");
        assert.equal((await rig.see(laid.handle)).state, "terminal");
      },
    },
    {
      title: "reading on from an offset repeats and loses nothing, in a new session too",
      async run(rig) {
        const { handle } = await rig.run([{ do: "print", text: "0123456789" }]);
        const another = await rig.anotherSession();
        for (const offset of [0, 1, 9, 10]) {
          for (const follow of [true, false]) {
            const chunks = await Array.fromAsync(another.logs(handle, "stdout", { offset, follow }));
            assert.equal(Buffer.concat(chunks).toString(), "0123456789".slice(offset));
          }
        }
      },
    },
    {
      title: "without following, reading ends at what is there although the step goes on",
      async run(rig) {
        const laid = await rig.start([
          { do: "print", text: "so far" },
          { do: "await", file: "go" },
        ]);
        const text = async () => (await rig.log(laid.handle)).toString();
        await rig.until("the first words", text, (seen) => seen === "so far");
        await rig.untilRunning(laid.handle);
        rig.tell(laid);
        await rig.end(laid.handle);
      },
    },
    {
      title: "aborting ends the reading with the signal's reason, and not the step",
      async run(rig) {
        const laid = await rig.start([{ do: "await", file: "go" }]);
        const abort = new AbortController();
        const reason = new Error("the reader has enough");
        const options = { offset: 0, follow: true, signal: abort.signal };
        const reading = Array.fromAsync(rig.session.logs(laid.handle, "stdout", options));
        const rejected = assert.rejects(reading, reason);
        abort.abort(reason);
        await rejected;
        rig.tell(laid);
        assert.equal((await rig.end(laid.handle)).outcome.state, "succeeded");
      },
    },
    {
      title: "a slow reader gets everything, and holds the step up for nothing",
      needs: [NEEDS.programs],
      async run(rig) {
        const laid = await rig.layShell(`yes 0123456789 | head -c ${4 * MIB}`);
        await rig.submit(laid);
        const chunks = rig.session.logs(laid.handle, "stdout", { offset: 0, follow: true })[Symbol.asyncIterator]();
        const first = await chunks.next();
        assert.equal((await rig.end(laid.handle)).outcome.state, "succeeded");
        let bytes = Buffer.from(first.value).length;
        for (let next = await chunks.next(); !next.done; next = await chunks.next()) bytes += next.value.length;
        assert.equal(bytes, 4 * MIB);
      },
    },
    {
      title: "a grandchild that holds the output open does not hold up the end",
      needs: [NEEDS.programs],
      async run(rig) {
        const laid = await rig.layShell("setsid sleep 600 & echo done");
        const startedAtMs = performance.now();
        const { outcome } = await rig.runLaid(laid);
        assert.ok(performance.now() - startedAtMs < END_WITHIN_MS + startAllowanceMs(rig));
        assert.equal(outcome.state, "succeeded");
        await followsToTheEnd(rig, laid, "done\n");
      },
    },
  ],
};

/** Starting takes a while on a slow platform; holding the pipe must not add minutes to it. */
function startAllowanceMs(rig: Rig): number {
  return rig.capabilities.images ? 10_000 : 0;
}

async function followsToTheEnd(rig: Rig, { handle }: Laid, expected: string): Promise<void> {
  const reading = Array.fromAsync(rig.session.logs(handle, "stdout", { offset: 0, follow: true }));
  const chunks = await Promise.race([reading, setTimeout(END_WITHIN_MS, null, { ref: false })]);
  assert.ok(chunks !== null, "following ends");
  assert.equal(Buffer.concat(chunks).toString(), expected);
}
