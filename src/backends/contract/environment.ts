import assert from "node:assert/strict";
import { type ContractGroup, NEEDS } from "./case.ts";

const AWKWARD = {
  NEWLINE: "first\nsecond\n",
  QUOTES: `it's "quoted" \`and\` $HOME $(echo no) \\ %s`,
  UNICODE: "größer 東京 🚢",
  EMPTY: "",
  SPACES: "  two  ",
};

/** The step gets exactly what it was given, and nothing of the agent's. */
export const ENVIRONMENT: ContractGroup = {
  title: "environment",
  cases: [
    {
      title: "variables arrive byte for byte: newlines, quotes, unicode, nothing",
      needs: [NEEDS.programs],
      async run(rig) {
        const script = Object.keys(AWKWARD)
          .map((name) => `printf '%s\\0' "$${name}"`)
          .join("; ");
        const { handle } = await rig.runShell(script, { env: AWKWARD });
        assert.deepEqual((await rig.log(handle)).toString().split("\0").slice(0, -1), Object.values(AWKWARD));
      },
    },
    {
      title: "arguments are exact, and no shell touches them",
      needs: [NEEDS.programs],
      async run(rig) {
        const awkward = ["", " ", "*", "$HOME", "a\nb", "'", '"', "\\", "größer", "-n", "--"];
        const laid = await rig.layCommand([
          "sh",
          "-c",
          `for a in "$@"; do printf '%s\\0' "$a"; done`,
          "name",
          ...awkward,
        ]);
        const { handle } = await rig.runLaid(laid);
        assert.deepEqual((await rig.log(handle)).toString().split("\0").slice(0, -1), awkward);
      },
    },
    {
      title: "the agent's own environment is not inherited",
      needs: [NEEDS.programs],
      async run(rig) {
        const canary = "BERTH_CONTRACT_CANARY";
        const previous = process.env.NODE_V8_COVERAGE;
        process.env[canary] = "leaked";
        process.env.NODE_V8_COVERAGE ??= "/tmp/leaked";
        try {
          const { handle } = await rig.runShell("env");
          const text = (await rig.log(handle)).toString();
          assert.doesNotMatch(text, /leaked|NODE_V8_COVERAGE/);
          assert.match(text, /^PATH=/m);
          if (process.env.USER !== undefined) assert.doesNotMatch(text, /^SUDO_|^SSH_|^npm_/m);
        } finally {
          delete process.env[canary];
          if (previous === undefined) delete process.env.NODE_V8_COVERAGE;
        }
      },
    },
    {
      title: "BERTH_DIR, BERTH_IN and BERTH_OUT name the step's folders, whatever the step's own variables say",
      needs: [NEEDS.programs],
      async run(rig) {
        const script = 'cd "$BERTH_DIR" && [ "$BERTH_IN" -ef in ] && [ "$BERTH_OUT" -ef out ] && echo "$BERTH_DIR"';
        const env = { BERTH_DIR: "/nowhere", BERTH_IN: "/nowhere", BERTH_OUT: "/nowhere" };
        const { handle, outcome, spec } = await rig.runShell(script, { env });
        assert.equal(outcome.state, "succeeded", (await rig.log(handle, "stderr")).toString());
        const told = (await rig.log(handle)).toString().trim();
        assert.equal(told, rig.capabilities.fixedPaths ? "/berth" : spec.folder);
      },
    },
    {
      title: "HOME and TMPDIR are the step's scratch folder, fresh and writable",
      needs: [NEEDS.programs],
      async run(rig) {
        const script = [
          'for folder in "$HOME" "$TMPDIR"; do [ "$folder" -ef "$BERTH_DIR"/tmp ] || exit 3; done',
          '[ -z "$(ls -A "$TMPDIR")" ] || exit 4',
          'echo x > "$TMPDIR"/scratch',
        ].join("\n");
        const { outcome } = await rig.runShell(script);
        assert.equal(outcome.exitCode, 0);
      },
    },
    {
      title: "standard input is empty",
      needs: [NEEDS.programs],
      async run(rig) {
        const { handle } = await rig.runShell("cat; echo end");
        assert.equal((await rig.log(handle)).toString(), "end\n");
      },
    },
    {
      title: "the working folder is the one asked for",
      needs: [NEEDS.programs],
      async run(rig) {
        const { handle } = await rig.runShell("pwd", { workingFolder: "/usr" });
        assert.equal((await rig.log(handle)).toString(), "/usr\n");
      },
    },
    {
      title: "without a wish and without images, the working folder is a private one",
      needs: [NEEDS.programs],
      async run(rig) {
        if (rig.capabilities.images) return;
        const { handle, spec } = await rig.runShell("pwd");
        assert.ok((await rig.log(handle)).toString().startsWith(`${spec.folder}/`));
      },
    },
  ],
};
