import type { FaultCode } from "../../src/protocol/faults.ts";
import type { Probe } from "./probe.ts";

type Extra = Pick<Probe, "resources" | "outputs">;

/** Ways to take so much that others have too little, and to trip up whoever collects what is left. */
export const EXHAUSTION_PROBES: readonly Probe[] = [
  contained("fork-bomb", "starts processes that start processes", "bomb() { bomb | bomb & }; bomb; sleep 3", [
    "killed-by-signal",
    "exit-nonzero",
  ]),
  contained(
    "processes",
    "starts as many processes as it can",
    "i=0; while [ $i -lt 2000 ]; do sleep 20 & i=$((i+1)); done 2>/dev/null; exit 0",
    ["exit-nonzero"],
  ),
  contained(
    "memory-bomb",
    "takes memory without end",
    `perl -e 'push @x, "x" x 10_000_000 while 1'`,
    ["oom", "killed-by-signal"],
    {
      resources: { memory: "64MiB" },
    },
  ),
  contained(
    "shared-memory",
    "fills the memory that is a file system",
    "head -c 2000000000 /dev/zero > /dev/shm/x",
    ["exit-nonzero", "oom"],
    {
      resources: { memory: "64MiB" },
    },
  ),
  contained(
    "open-files",
    "opens files until there are no more",
    `perl -e 'for (1 .. 200_000) { open($f[$_], "<", "/etc/passwd") or last } sleep 2'`,
    ["exit-nonzero"],
  ),
  contained(
    "processor",
    "keeps every core busy",
    "for i in 1 2 3 4 5 6 7 8; do ( while :; do :; done ) & done; sleep 6; kill 0",
    ["killed-by-signal", "exit-nonzero"],
    {
      resources: { cpu: 0.5 },
    },
  ),
  contained(
    "disk-fill",
    "writes to its container's layer without end",
    "while :; do dd if=/dev/zero bs=1M count=16 2>/dev/null; sleep 0.1; done >/var/tmp/fill",
    ["disk-exceeded"],
    { resources: { disk: "64MiB" } },
  ),
  contained(
    "output-fill",
    "writes outputs without end",
    'while :; do dd if=/dev/zero bs=1M count=16 2>/dev/null; sleep 0.1; done >"$BERTH_OUT/fill"',
    ["disk-exceeded"],
    { resources: { disk: "64MiB" } },
  ),
  contained(
    "inode-fill",
    "makes files and folders without end",
    `perl -e 'chdir "/var/tmp"; for ($i = 0;; $i++) { mkdir $i; open(F, ">", "$i/x"); select(undef, undef, undef, 0.1) unless $i % 2000 }'`,
    ["disk-exceeded"],
    { resources: { disk: "32MiB" } },
  ),
  contained(
    "log-fill",
    "logs without end",
    "while :; do dd if=/dev/zero bs=1M count=8 2>/dev/null; sleep 0.2; done",
    ["disk-exceeded"],
    { resources: { disk: "64MiB" } },
  ),
  contained("huge-log", "logs 50 MB on one line", "head -c 50000000 /dev/zero | tr '\\0' x", []),
  contained(
    "control-characters",
    "sends commands to the terminal of who reads the log",
    "printf '\\033]0;x\\007\\033[2J\\033[?1049h\\r\\n\\0\\377'",
    [],
  ),
  contained(
    "many-messages",
    "says progress 100,000 times",
    `perl -e 'open(F, ">>", "/berth/messages.jsonl"); print F qq({"type":"progress","done":$_,"total":100000}\\n) for 1 .. 100_000'`,
    [],
  ),
  contained(
    "broken-messages",
    "says what is no message, without end of line",
    "head -c 5000000 /dev/urandom > /berth/messages.jsonl",
    [],
  ),
  contained(
    "huge-error",
    "says what went wrong in 100 MB",
    `perl -e 'open(F, ">", "/berth/error.json"); print F qq({"type":"business","message":"), "x" x 100_000_000, qq("})'; exit 1`,
    ["exit-nonzero", "business"],
  ),
  contained(
    "error-link",
    "says that what went wrong is in a file of the host",
    "ln -s /etc/shadow /berth/error.json; exit 1",
    ["exit-nonzero"],
  ),
  contained(
    "output-link",
    "hands over a link to a file of the host",
    'ln -s /etc/shadow "$BERTH_OUT/x"',
    ["output-unsafe"],
    { outputs: { x: "x" } },
  ),
  contained(
    "output-climbs",
    "hands over a folder with a link out of it",
    'mkdir "$BERTH_OUT/x"; ln -s ../../../../etc "$BERTH_OUT/x/e"',
    ["output-unsafe"],
    { outputs: { x: { path: "x", type: "folder" } } },
  ),
  contained(
    "output-pipe",
    "hands over a pipe, at which a reader would wait for ever",
    'mkfifo "$BERTH_OUT/x"',
    ["output-unsafe"],
    { outputs: { x: "x" } },
  ),
  contained(
    "output-socket",
    "hands over a socket",
    `perl -MSocket -e 'socket(S, AF_UNIX, SOCK_STREAM, 0); bind(S, sockaddr_un("/berth/out/x"))'`,
    ["output-unsafe"],
    { outputs: { x: "x" } },
  ),
  contained(
    "output-hole",
    "hands over a file of 100 TB that is all hole",
    `perl -e 'open(F, ">", "/berth/out/x"); truncate(F, 100_000_000_000_000) or exit 3'`,
    ["output-too-large", "exit-nonzero", "disk-full"],
    { outputs: { x: "x" } },
  ),
  contained(
    "folder-replaced",
    "puts a link where its outputs are looked for",
    'rmdir "$BERTH_OUT" && ln -s /etc /berth/out; exit 0',
    ["output-unsafe", "output-missing", "exit-nonzero"],
    { outputs: { x: "passwd" } },
  ),
  contained(
    "unreadable-output",
    "hands over a folder that nobody may enter",
    'mkdir "$BERTH_OUT/x"; echo x > "$BERTH_OUT/x/f"; chmod 0 "$BERTH_OUT/x/f" "$BERTH_OUT/x"',
    ["output-unsafe", "permission"],
    { outputs: { x: { path: "x", type: "folder" } } },
  ),
  contained(
    "deep-folders",
    "leaves folders so deep that their path is too long to remove",
    `perl -e 'chdir "/berth/tmp"; for (1 .. 1500) { mkdir "deeper-and-deeper" or last; chdir "deeper-and-deeper" or last }'`,
    [],
  ),
  contained("daemon", "goes on after its end", "(setsid sh -c 'trap \"\" TERM HUP INT; sleep 600' &) ; exit 0", []),
];

function contained(
  name: string,
  attack: string,
  script: string,
  faults: readonly FaultCode[],
  extra: Extra = {},
): Probe {
  return { name, attack, script, expect: { kind: "contained", faults }, ...extra };
}
