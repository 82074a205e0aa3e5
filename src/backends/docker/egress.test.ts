import assert from "node:assert/strict";
import { createSocket } from "node:dgram";
import { createServer } from "node:net";
import { networkInterfaces } from "node:os";
import { type TestContext, test } from "node:test";
import { testPerlImage } from "../../../test/setup/perl-image.ts";
import { parseDestination } from "../../protocol/egress.ts";
import { BackendError } from "../execution-backend.ts";
import { resolveEgress } from "./egress.ts";
import { docker } from "./testing/docker-harness.ts";
import { DockerRig } from "./testing/docker-rig.ts";

const image = await testPerlImage();
/** Addresses of this machine that containers reach: its own, and that of the engine's bridge, their gateway. */
const GATEWAY = await docker("network", "inspect", "bridge", "--format", "{{(index .IPAM.Config 0).Gateway}}");
const OWN = Object.values(networkInterfaces())
  .flatMap((addresses) => addresses ?? [])
  .find(({ family, internal, address }) => family === "IPv4" && !internal && address !== GATEWAY)?.address;

/** Tries to say and hear something: `try(name, protocol, address, port[, interface])`, one line of output each. */
const TRY = String.raw`use Socket;
sub try {
  my ($name, $kind, $address, $port, $bind) = @_;
  my $answer = eval {
    local $SIG{ALRM} = sub { die "timeout\n" };
    alarm 2;
    socket(my $s, AF_INET, $kind eq "tcp" ? SOCK_STREAM : SOCK_DGRAM, 0) or die "socket\n";
    if ($bind) { setsockopt($s, SOL_SOCKET, 25, pack("Z16", $bind)) or die "bind\n" }
    connect($s, sockaddr_in($port, inet_aton($address))) or die "connect: $!\n";
    send($s, "ping", 0) or die "send: $!\n";
    defined(recv($s, my $text, 10, 0)) or die "recv: $!\n";
    alarm 0;
    $text;
  };
  alarm 0;
  chomp(my $said = $@ || $answer);
  print "$name=$said\n";
}
`;

/** A port of this machine that answers "pong", over TCP and UDP. */
async function listen(t: TestContext): Promise<number> {
  const tcp = createServer((socket) => {
    socket.on("error", () => {});
    socket.end("pong");
  });
  await new Promise<void>((resolve) => tcp.listen(0, "0.0.0.0", resolve));
  const { port } = tcp.address() as { port: number };
  const udp = createSocket("udp4", (_message, from) => udp.send("pong", from.port, from.address));
  await new Promise<void>((resolve) => udp.bind(port, OWN, resolve));
  t.after(() => {
    tcp.close();
    udp.close();
  });
  return port;
}

async function attempts(rig: DockerRig, allow: readonly string[], calls: string, scope = "scope") {
  const done = await rig.run(`perl -e '${TRY}${calls}'`, { network: { allow }, scope });
  assert.equal(done.outcome.state, "succeeded", await rig.log(done, "stderr"));
  const lines = (await rig.log(done)).trim().split("\n");
  return Object.fromEntries(lines.map((line) => line.split("=", 2) as [string, string]));
}

test("a step with an allow-list reaches what is on it, and by no protocol, port, address or trick anything else", async (t) => {
  assert.ok(OWN !== undefined, "this machine has an address beside that of the engine's bridge");
  await using rig = await DockerRig.open(image);
  const [open, other] = [await listen(t), await listen(t)];
  const neighbour = await docker("run", "--detach", "--rm", image, "sleep", "60");
  t.after(() => docker("rm", "--force", neighbour));
  const near = await docker("inspect", "--format", "{{.NetworkSettings.IPAddress}}", neighbour);
  const seen = await attempts(
    rig,
    [`${OWN}:${open}`, `${OWN}:${other}/udp`, `${near}:80`],
    `try("tcp", "tcp", "${OWN}", ${open}); try("udp", "udp", "${OWN}", ${other});
     try("otherPort", "tcp", "${OWN}", ${other}); try("otherProtocol", "udp", "${OWN}", ${open});
     try("otherHost", "tcp", "${GATEWAY}", ${open}); try("raw", "tcp", "${OWN}", ${other}, "eth0");
     try("near", "tcp", "${near}", 80); try("nearBound", "tcp", "${near}", 80, "eth0");
     try("metadata", "tcp", "169.254.169.254", 80, "eth0"); try("dns", "udp", "${GATEWAY}", 53);
     try("itself", "tcp", "127.0.0.1", ${open});
     socket($six, AF_INET6, SOCK_DGRAM, 0); $to = pack("SnNH32L", AF_INET6, 53, 0, "20010db8" . "0" x 23 . "1", 0);
     connect($six, $to) && send($six, "x", 0) or print "six=$!\\n";`,
  );
  assert.deepEqual([seen.tcp, seen.udp], ["pong", "pong"]);
  for (const name of ["otherPort", "otherProtocol", "otherHost", "raw", "nearBound", "metadata", "dns"]) {
    assert.match(
      seen[name]!,
      /Operation not permitted|No route to host|Network is unreachable/,
      `${name}: ${seen[name]}`,
    );
  }
  assert.match(
    seen.near!,
    /Operation not permitted|No route to host/,
    "other containers are out of reach, whatever is allowed",
  );
  assert.match(seen.itself!, /refused/, "a step's own addresses stay its own");
  assert.ok(seen.six !== undefined, "there is no IPv6");
});

test("a step of the run's own network reaches no neighbour by naming the interface, and its gateway still", async (t) => {
  await using rig = await DockerRig.open(image);
  const port = await listen(t);
  const serve =
    "use Socket; socket(S, AF_INET, SOCK_STREAM, 0); bind(S, sockaddr_in(80, INADDR_ANY)) or die; listen(S, 5); " +
    "while (accept(C, S)) { syswrite(C, q(pong)); close(C) }";
  const neighbour = await docker("run", "--detach", "--rm", image, "perl", "-e", serve);
  t.after(() => docker("rm", "--force", neighbour));
  const near = await docker("inspect", "--format", "{{.NetworkSettings.IPAddress}}", neighbour);
  const calls = `try("near", "tcp", "${near}", 80, "eth0"); try("gateway", "tcp", "${GATEWAY}", ${port});`;
  const done = await rig.run(`perl -e '${TRY}${calls}'`, { network: "run" });
  const log = await rig.log(done);
  assert.match(log, /near=connect: Operation not permitted\n/);
  assert.match(log, /gateway=pong\n/);
});

test("lists that are alike share a network, others do not, and the end of the scope removes all", async () => {
  await using rig = await DockerRig.open(image);
  const namespaces = [];
  for (const network of [
    { allow: ["10.1.2.3:1"] },
    { allow: ["10.1.2.3:1"] },
    { allow: ["10.1.2.3:2"] },
    "run",
  ] as const) {
    namespaces.push(await rig.log(await rig.run("readlink /proc/self/ns/net", { network })));
  }
  assert.equal(namespaces[0], namespaces[1]);
  assert.equal(new Set(namespaces).size, 3);
  const holders = [
    "--filter",
    `label=berth.installation=${rig.harness.installation}`,
    "--filter",
    "label=berth.kind=network",
  ];
  assert.equal((await docker("ps", "--quiet", ...holders)).split("\n").length, 3);
  await rig.session.releaseScope("scope");
  assert.equal(await docker("ps", "--all", "--quiet", ...holders), "");
});

test("a name is looked up by the worker, once, and one that has no address fails with advice", async () => {
  assert.deepEqual(await resolveEgress(["localhost:443", "10.0.0.0/8:53/udp"]), {
    rules: ["tcp:127.0.0.1/32:443", "udp:10.0.0.0/8:53"],
    hosts: ["localhost:127.0.0.1"],
  });
  await assert.rejects(resolveEgress(["no-such-name.invalid:443"]), (error) => {
    assert.ok(error instanceof BackendError);
    return /finds no IPv4 address of no-such-name\.invalid/.test(error.message);
  });
});

test("a destination is a host and a port, and nothing else is taken for one", () => {
  for (const text of [
    "pypi.org",
    ":443",
    "a b:1",
    "1.2.3:80",
    "1.2.3.4/33:80",
    "1.2.3.4:0",
    "x/8:80",
    "::1:80",
    "x:80/icmp",
  ]) {
    assert.equal(parseDestination(text), null, text);
  }
  assert.deepEqual(parseDestination("10.0.0.0/8:53/udp"), { protocol: "udp", host: "10.0.0.0", bits: 8, port: 53 });
});
