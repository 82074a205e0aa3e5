import assert from "node:assert/strict";
import { chmodSync, linkSync, mkdirSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { type ContractGroup, NEEDS } from "./case.ts";

const MANY_FILES = 10_000;

/** Inputs and outputs go through the attempt folder, exactly. */
export const FILES: ContractGroup = {
  title: "files",
  cases: [
    {
      title: "inputs are there byte for byte, with their modes and unicode names",
      needs: [NEEDS.programs],
      async run(rig) {
        const bytes = Buffer.from(Array.from({ length: 256 }, (_, byte) => byte));
        const script = 'cat "$BERTH_IN/größer 東京"; "$BERTH_IN"/folder/tool; [ ! -x "$BERTH_IN/größer 東京" ]';
        const laid = await rig.layShell(script);
        const inputs = join(laid.spec.folder, "in");
        mkdirSync(join(inputs, "folder"));
        writeFileSync(join(inputs, "größer 東京"), bytes, { mode: 0o644 });
        writeFileSync(join(inputs, "folder", "tool"), "#!/bin/sh\nprintf run\n");
        chmodSync(join(inputs, "folder", "tool"), 0o755);
        const { outcome, handle } = await rig.runLaid(laid);
        assert.equal(outcome.exitCode, 0, (await rig.log(handle, "stderr")).toString());
        assert.ok((await rig.log(handle)).equals(Buffer.concat([bytes, Buffer.from("run")])));
      },
    },
    {
      title: "ten thousand inputs are all there",
      needs: [NEEDS.programs],
      async run(rig) {
        const laid = await rig.layShell('ls -A "$BERTH_IN"/many | wc -l');
        const folder = join(laid.spec.folder, "in", "many");
        mkdirSync(folder);
        // Links, as the runtime makes them from its cache.
        const blob = join(laid.spec.folder, "in", "blob");
        writeFileSync(blob, "");
        for (let index = 0; index < MANY_FILES; index++) linkSync(blob, join(folder, `file ${index}`));
        const { handle } = await rig.runLaid(laid);
        assert.equal(Number((await rig.log(handle)).toString()), MANY_FILES);
      },
    },
    {
      title: "inputs that come after prepare are seen",
      needs: [NEEDS.programs, NEEDS.prepareAhead],
      async run(rig) {
        const laid = await rig.layShell('cat "$BERTH_IN"/late');
        await rig.session.prepare(laid.ref, laid.spec);
        writeFileSync(join(laid.spec.folder, "in", "late"), "came late");
        const { handle } = await rig.runLaid(laid);
        assert.equal((await rig.log(handle)).toString(), "came late");
      },
    },
    {
      title: "inputs cannot be written, replaced or added to",
      needs: [NEEDS.programs, NEEDS.readOnlyInputs],
      async run(rig) {
        const attempts = ['echo x > "$BERTH_IN"/given', 'rm -f "$BERTH_IN"/given', 'echo x > "$BERTH_IN"/added'];
        const laid = await rig.layShell(
          `${attempts.map((attempt) => `(${attempt}) 2>/dev/null && exit 3`).join("; ")}; exit 0`,
        );
        const given = join(laid.spec.folder, "in", "given");
        writeFileSync(given, "given", { mode: 0o666 });
        assert.equal((await rig.runLaid(laid)).outcome.exitCode, 0);
        assert.equal(readFileSync(given, "utf8"), "given");
      },
    },
    {
      title: "outputs are in the attempt folder when the attempt is terminal, after a failure too",
      async run(rig) {
        for (const code of [0, 5]) {
          const laid = await rig.run([
            { do: "append", file: "model", text: "trained" },
            { do: "exit", code },
          ]);
          assert.equal(rig.output(laid, "model"), "trained");
        }
      },
    },
    {
      title: "outputs of awkward modes can be removed by the agent",
      needs: [NEEDS.programs],
      async run(rig) {
        const script =
          'cd "$BERTH_OUT"; mkdir -p closed/inner; echo x > closed/inner/file; chmod 0 closed/inner/file closed/inner';
        const { spec, handle } = await rig.runShell(script);
        await rig.session.release(handle);
        await rig.harness.removeFolder(spec.folder);
        assert.throws(() => statSync(spec.folder), { code: "ENOENT" });
      },
    },
    {
      title: "releasing leaves the attempt folder to the caller",
      async run(rig) {
        const laid = await rig.run([{ do: "append", file: "kept", text: "x" }]);
        await rig.session.release(laid.handle);
        assert.equal(rig.output(laid, "kept"), "x");
      },
    },
    {
      title: "a host folder is mounted where the spec says, read-only",
      needs: [NEEDS.programs, NEEDS.fixedPaths],
      async run(rig) {
        const host = await rig.harness.makeFolder();
        writeFileSync(join(host, "in", "source"), "of the host");
        const mounts = [{ host: join(host, "in"), inside: "/berth-contract/source" }];
        const script =
          "cat /berth-contract/source/source; (echo x > /berth-contract/source/new) 2>/dev/null && exit 3; exit 0";
        const { outcome, handle } = await rig.runShell(script, { mounts });
        await rig.harness.removeFolder(host);
        assert.equal(outcome.exitCode, 0);
        assert.equal((await rig.log(handle)).toString(), "of the host");
      },
    },
  ],
};
