import assert from "node:assert/strict";
import { test } from "node:test";
import { BackendError } from "../backends/execution-backend.ts";
import { MemoryBackend } from "../backends/memory/memory-backend.ts";
import { exits, hangs } from "../backends/memory/script.ts";
import { fault } from "../protocol/faults.ts";
import { AgentFixture, assignmentOf } from "./testing/agent-fixture.ts";

test("no second attempt starts beside one that could not be stopped", async () => {
  const backend = new MemoryBackend({ fallback: exits(0) });
  backend.script("a", hangs(), exits(0, { afterMs: 500 }));
  const open = backend.open.bind(backend);
  const gone = () => new BackendError("spec-conflict", fault("daemon-lost", "The engine refuses."));
  let refuses = true;
  backend.open = async (options) => {
    const session = await open(options);
    return new Proxy(session, {
      get(target, name) {
        const value = Reflect.get(target, name) as unknown;
        if (typeof value !== "function") return value;
        return (...args: unknown[]) => {
          const about = (name === "observe" ? (args[0] as object[])[0] : args[0]) as { ref?: { attempt: number } };
          if (refuses && ["observe", "cancel", "release"].includes(String(name)) && about?.ref?.attempt === 1)
            return Promise.reject(gone());
          return value.apply(target, args);
        };
      },
    });
  };
  await using fixture = await AgentFixture.open();
  await fixture.start(backend);
  fixture.server.submit(assignmentOf("name: p\nenvironment: { image: any }\nsteps: { a: { run: x } }\n"));
  await backend.started("a", 1);
  const beside = await Promise.race([
    backend.started("a", 2).then(() => backend.attempt("a", 1).state),
    new Promise((resolve) => setTimeout(() => resolve("none"), 4000)),
  ]);
  refuses = false;
  backend.attempt("a", 1).finish({ exit: 0 });
  assert.notEqual(beside, "running", "attempt 2 started while attempt 1 ran");
});
