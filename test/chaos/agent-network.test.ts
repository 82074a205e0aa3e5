import assert from "node:assert/strict";
import { spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { test } from "node:test";
import { AgentNetwork } from "./agent-network.ts";

const unavailable = AgentNetwork.unavailable();
const skip = unavailable === null ? false : `no network namespaces: ${unavailable}`;
/** An answer over a pair of virtual interfaces takes a millisecond; a dropped one never comes. */
const PATIENCE_MS = 1_500;

/** What a program inside of the network gets as an answer; null for none in time. */
async function ask(network: AgentNetwork, port: number): Promise<string | null> {
  const code = `fetch("http://${network.host}:${port}/", { signal: AbortSignal.timeout(${PATIENCE_MS}) })
    .then((answer) => answer.text()).then((text) => process.stdout.write(text), () => process.exit(1))`;
  const [program, ...args] = [...network.through, process.execPath, "-e", code];
  const child = spawn(program, args, { stdio: ["ignore", "pipe", "inherit"] });
  let text = "";
  child.stdout.setEncoding("utf8").on("data", (more: string) => {
    text += more;
  });
  const [status] = (await once(child, "close")) as [number];
  return status === 0 ? text : null;
}

test("whoever is cut off gets no answer, and the server hears of requests alone when answers are dropped", {
  skip,
}, async (t) => {
  let heard = 0;
  const server = createServer((_, response) => {
    heard += 1;
    response.end("here");
  });
  await new Promise<void>((done) => server.listen(0, "0.0.0.0", done));
  t.after(() => {
    server.closeAllConnections();
    server.close();
  });
  const { port } = server.address() as AddressInfo;
  using network = new AgentNetwork(0);
  assert.equal(await ask(network, port), "here");
  for (const cut of ["everything", "requests", "answers"] as const) {
    network.cut(cut);
    assert.equal(await ask(network, port), null, cut);
    network.heal();
    assert.equal(await ask(network, port), "here", `after ${cut}`);
  }
  assert.equal(heard, 4, "no request came through a cut");
});

test("a namespace of a chaos run that was killed is swept with its processes, one of a living run is not", {
  skip,
}, async () => {
  using network = new AgentNetwork(1);
  const gone = spawnSync("true").pid;
  const name = `berth-chaos-${gone}-0`;
  assert.equal(spawnSync("ip", ["netns", "add", name]).status, 0);
  const inside = spawn("ip", ["netns", "exec", name, "sleep", "60"], { stdio: "ignore" });
  const ended = once(inside, "exit");
  for (let tries = 0; !spawnSync("ip", ["netns", "pids", name], { encoding: "utf8" }).stdout.trim(); tries++) {
    assert.ok(tries < 1_000, "the process is in its namespace");
  }
  assert.deepEqual(AgentNetwork.sweep(), [name]);
  await ended;
  const left = spawnSync("ip", ["netns", "list"], { encoding: "utf8" }).stdout;
  assert.doesNotMatch(left, new RegExp(name));
  assert.match(left, new RegExp(`berth-chaos-${process.pid}-1`));
  assert.notEqual(network.host, "");
});
