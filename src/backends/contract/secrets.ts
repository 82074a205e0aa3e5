import assert from "node:assert/strict";
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { SECRET_LAYOUT, type SpecSecrets } from "../execution-backend.ts";
import { type ContractGroup, NEEDS } from "./case.ts";
import { enter } from "./enter.ts";
import type { Laid, Rig } from "./rig.ts";

const SHOW = 'cat "$BERTH_SECRETS/KEY"; ls "$BERTH_SECRETS"; printf "%s|" "$TOKEN" "$EMPTY" "$SAME" "$OTHER"';
const SHOWN = "of two\nlines\nKEY\nvalue of = and\nlines||secret|plain|";

/** Values reach the step's program, and nothing that is told to the platform. */
export const SECRETS: ContractGroup = {
  title: "secrets",
  cases: [
    {
      title: "secrets are files, and variables that go over others of their names; also when they come after prepare",
      needs: [NEEDS.programs],
      async run(rig) {
        const laid = await layWithSecrets(rig);
        await rig.session.prepare(laid.ref, laid.spec);
        fill(laid.spec.secrets!);
        const { outcome, handle } = await rig.runLaid(laid);
        assert.equal(outcome.exitCode, 0, (await rig.log(handle, "stderr")).toString());
        assert.equal((await rig.log(handle)).toString(), SHOWN);
      },
    },
    {
      title: "whoever enters the place of a step has its secrets",
      needs: [NEEDS.programs, NEEDS.enter],
      async run(rig) {
        const laid = await layWithSecrets(rig);
        fill(laid.spec.secrets!);
        const { code, stdout, stderr } = await enter(rig, laid);
        assert.deepEqual([code, stdout], [0, SHOWN], stderr);
      },
    },
    {
      title: "a step cannot change its secrets",
      needs: [NEEDS.programs, NEEDS.readOnlyInputs],
      async run(rig) {
        const laid = await layWithSecrets(rig, 'rm -f "$BERTH_SECRETS/KEY"; echo x > "$BERTH_SECRETS/NEW"; exit 0');
        fill(laid.spec.secrets!);
        const { handle } = await rig.runLaid(laid);
        assert.match((await rig.log(handle, "stderr")).toString(), /Read-only.*\n.*Read-only/);
      },
    },
  ],
};

/** The folder that the runtime makes in memory, here on the disk like the attempt itself. */
async function layWithSecrets(rig: Rig, script = SHOW): Promise<Laid> {
  const laid = await rig.layShell(script, { env: { SAME: "plain", OTHER: "plain" } });
  const secrets = { folder: join(laid.spec.folder, "tmp", "secrets"), variables: true };
  mkdirSync(secrets.folder);
  for (const part of [SECRET_LAYOUT.files, SECRET_LAYOUT.env]) mkdirSync(join(secrets.folder, part), { mode: 0o700 });
  return { ...laid, spec: { ...laid.spec, secrets } };
}

function fill({ folder }: SpecSecrets): void {
  writeFileSync(join(folder, SECRET_LAYOUT.files, "KEY"), "of two\nlines\n", { mode: 0o400 });
  const variables = ["TOKEN=value of = and\nlines", "EMPTY=", "SAME=secret"].map((pair) => `${pair}\0`).join("");
  writeFileSync(join(folder, SECRET_LAYOUT.variables), variables, { mode: 0o400 });
}
