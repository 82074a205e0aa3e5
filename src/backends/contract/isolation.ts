import assert from "node:assert/strict";
import { setTimeout } from "node:timers/promises";
import { type ContractGroup, NEEDS } from "./case.ts";
import type { Laid } from "./rig.ts";

/** Long enough that a share of a core can be told from a whole one. */
const MEASURED_MS = 2_000;

/** What a step cannot reach, and what it cannot use up. */
export const ISOLATION: ContractGroup = {
  title: "isolation",
  cases: [
    {
      title: "without a network there is none, not even the metadata address",
      needs: [NEEDS.programs, NEEDS.noNetwork],
      async run(rig) {
        const script = "cut -d: -f1 /proc/net/dev | tr -d ' ' | tail -n +3; tail -n +2 /proc/net/route | wc -l";
        const { handle } = await rig.runShell(script, { network: "none" });
        assert.deepEqual((await rig.log(handle)).toString().trim().split("\n"), ["lo", "0"]);
      },
    },
    {
      title: "with the run's network, attempts of one scope share one",
      needs: [NEEDS.programs, NEEDS.runNetwork],
      async run(rig) {
        const namespaces = [];
        for (let count = 0; count < 2; count++) {
          const { handle, outcome } = await rig.runShell("readlink /proc/self/ns/net", { network: "run" });
          assert.equal(outcome.state, "succeeded");
          namespaces.push((await rig.log(handle)).toString());
        }
        assert.match(namespaces[0]!, /^net:/);
        assert.equal(namespaces[0], namespaces[1]);
      },
    },
    {
      title: "with an allow-list a step has a network of its own, from which nothing else is reached",
      needs: [NEEDS.programs, NEEDS.allowList],
      async run(rig) {
        const script = "readlink /proc/self/ns/net; nc -w 2 10.255.0.1 81 </dev/null 2>&1 || echo unreachable";
        const alone = await rig.runShell(script, { network: { allow: ["10.255.0.1:80"] } });
        const shared = await rig.runShell("readlink /proc/self/ns/net", { network: "run" });
        const [namespace, ...rest] = (await rig.log(alone.handle)).toString().trim().split("\n");
        assert.notEqual(namespace, (await rig.log(shared.handle)).toString().trim());
        assert.match(rest.join("\n"), /not permitted[\s\S]*unreachable$/);
      },
    },
    {
      title: "a step is not root, holds no capabilities and gains none",
      needs: [NEEDS.programs, NEEDS.fileSystemIsolation],
      async run(rig) {
        const { handle } = await rig.runShell(
          "id -u; grep -E '^(CapEff|CapBnd|NoNewPrivs):' /proc/self/status | tr -d '\\t'",
        );
        const [uid, ...status] = (await rig.log(handle)).toString().trim().split("\n");
        assert.notEqual(uid, "0");
        assert.deepEqual(status.sort(), ["CapBnd:0000000000000000", "CapEff:0000000000000000", "NoNewPrivs:1"]);
      },
    },
    {
      title:
        "a step leaves no core dump, opens so many files and no more, and its /tmp is memory that it can run programs in",
      needs: [NEEDS.programs, NEEDS.fileSystemIsolation],
      async run(rig) {
        const { handle } = await rig.runShell(
          "grep -E '^Max (core|open)' /proc/self/limits | tr -s ' '; grep ' /tmp ' /proc/mounts; " +
            "printf '#!/bin/sh\necho ran\n' >/tmp/x && chmod +x /tmp/x && /tmp/x",
        );
        const [core, files, tmp, ran] = (await rig.log(handle)).toString().split("\n");
        assert.match(core!, /^Max core file size 0 0 /);
        assert.ok(Number(files!.split(" ").at(4)) <= 65_536, files);
        assert.match(tmp!, /^tmpfs \/tmp tmpfs rw,nosuid,nodev,.*size=/);
        assert.equal(ran, "ran");
      },
    },
    {
      title: "the host's files are out of sight, those of the control folder too",
      needs: [NEEDS.programs, NEEDS.fileSystemIsolation],
      async run(rig) {
        const laid = await rig.layShell(`ls -A /berth/ctl 2>/dev/null; [ ! -e '${import.meta.dirname}' ] || echo host`);
        const { handle } = await rig.runLaid(laid);
        assert.equal((await rig.log(handle)).toString(), "");
      },
    },
    {
      title: "with a read-only root a step writes to its own folders and /tmp, and to nothing of its image",
      needs: [NEEDS.programs, NEEDS.readOnlyRoot],
      async run(rig) {
        const script =
          'for file in /x /etc/x /usr/x /var/x; do if (: >$file) 2>/dev/null; then echo "wrote $file"; fi; done; ' +
          'echo kept >"$BERTH_OUT"/x && echo kept >"$HOME"/x && echo kept >/tmp/x && echo done';
        const { handle } = await rig.runShell(script, { isolation: { readOnlyRoot: true } });
        assert.equal((await rig.log(handle)).toString(), "done\n");
      },
    },
    {
      title: "a profile that its worker has no use for is refused, and the step does not run without it",
      needs: [NEEDS.programs, NEEDS.profiles],
      async run(rig) {
        const isolation = { runtime: "berth-contract-no-such-runtime" };
        await assert.rejects(rig.runShell("true", { isolation, network: "none" }), /no runtime berth-contract/);
      },
    },
    {
      title: "the limit of cores holds",
      needs: [NEEDS.programs, NEEDS.cpuLimit],
      async run(rig) {
        const limits = { cpus: 0.2, memoryBytes: null, pids: 256 };
        const busy = 'echo x > "$BERTH_OUT"/up; i=0; while [ ! -e "$BERTH_OUT"/go ]; do i=$((i+1)); done';
        const laid = await rig.layShell(busy, { limits });
        await rig.submit(laid);
        await rig.untilOutput(laid, "up");
        const startedAtMs = performance.now();
        await setTimeout(MEASURED_MS);
        rig.tell(laid);
        const { outcome } = await rig.end(laid.handle);
        const share = (outcome.stats.cpuMs ?? 0) / (performance.now() - startedAtMs);
        assert.ok(share < 0.4, `used ${share} of a core`);
      },
    },
    {
      title: "the limit of processes holds, and kills nobody else",
      needs: [NEEDS.programs, NEEDS.pidsLimit],
      async run(rig) {
        const limits = { cpus: null, memoryBytes: null, pids: 20 };
        const script = 'i=0; while [ $i -lt 60 ]; do sleep 30 & i=$((i+1)); done; echo "all started"';
        const { handle, outcome } = await rig.runShell(script, { limits });
        assert.doesNotMatch((await rig.log(handle)).toString(), /all started/);
        assert.notEqual(outcome.state, "lost");
      },
    },
    {
      title: "two attempts side by side have folders, logs and ends of their own",
      async run(rig) {
        const both = await Promise.all(
          [1, 2].map((number) =>
            rig.start([
              { do: "print", text: `I am ${number}` },
              { do: "append", file: "mine", text: `file of ${number}` },
              { do: "await", file: "go" },
              { do: "exit", code: number },
            ]),
          ),
        );
        const [first, second] = both as [Laid, Laid];
        await Promise.all(both.map((laid) => rig.untilOutput(laid, "mine")));
        rig.tell(second);
        assert.equal((await rig.end(second.handle)).outcome.exitCode, 2);
        await rig.untilRunning(first.handle);
        rig.tell(first);
        assert.equal((await rig.end(first.handle)).outcome.exitCode, 1);
        for (const [index, laid] of both.entries()) {
          assert.equal((await rig.log(laid.handle)).toString(), `I am ${index + 1}`);
          assert.equal(rig.output(laid, "mine"), `file of ${index + 1}`);
        }
      },
    },
  ],
};
