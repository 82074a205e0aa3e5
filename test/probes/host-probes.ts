import { BREACH, mustFail, type Probe, refused } from "./probe.ts";

/** Whether this text is in any file that a step can open; the text itself is put together here, to find no copy of it. */
const SEARCH = 'canary="$(echo $CANARY_HALVES | tr -d " ")"';

/** Ways to the host, to the agent, and to other runs. */
export const HOST_PROBES: readonly Probe[] = [
  mustFail(
    "engine-socket",
    "finds the engine's socket",
    "ls /var/run/docker.sock /run/docker.sock /run/containerd 2>/dev/null | grep -q .",
  ),
  mustFail(
    "engine-port",
    "talks to the engine over the network",
    "nc -w 1 $(ip route | sed -n 's/^default via \\([0-9.]*\\).*/\\1/p') 2375 </dev/null",
  ),
  mustFail("signal-agent", "ends the agent", 'kill -9 "$AGENT_PID"'),
  refused(
    "other-processes",
    "sees processes that are not its own",
    `count=$(ls /proc | grep -c '^[0-9]*$'); if [ "$count" -gt 12 ]; then ps; exit ${BREACH}; fi`,
  ),
  mustFail("root-of-first", "leaves by the root of the first process", 'ls "/proc/1/root$VICTIM_FOLDER"'),
  mustFail("host-folder", "opens the folder of another run by its path", 'ls "$VICTIM_FOLDER"'),
  mustFail(
    "above-its-folder",
    "climbs out of its folder",
    'ls "/berth/../../$VICTIM_FOLDER" || ls /berth/out/../../../runs',
  ),
  refused(
    "other-run-in-files",
    "looks for what another run knows in all files it can read",
    `${SEARCH}; found=$(grep -rslF "$canary" /berth /tmp /etc /root /run /var /dev/shm 2>/dev/null | head -3); if [ -n "$found" ]; then echo "$found"; exit ${BREACH}; fi`,
  ),
  refused(
    "other-run-in-environments",
    "looks for what another run knows in the environments of processes",
    `${SEARCH}; if grep -slF "$canary" /proc/[0-9]*/environ /proc/[0-9]*/cmdline; then exit ${BREACH}; fi`,
  ),
  mustFail(
    "other-run-by-network",
    "connects to a step of another run",
    'nc -w 2 "$VICTIM_ADDRESS" "$PORT" </dev/null | grep -q .',
  ),
  mustFail(
    "other-run-by-interface",
    "connects to another run by a socket that is bound to the interface, past all routes",
    `perl -MSocket -e '$SIG{ALRM} = sub { exit 1 }; alarm 3; socket(S, AF_INET, SOCK_STREAM, 0); setsockopt(S, SOL_SOCKET, 25, pack("a16", "eth0")); connect(S, sockaddr_in($ENV{PORT}, inet_aton($ENV{VICTIM_ADDRESS}))) or exit 1; defined(recv(S, $text, 1, 0)) or exit 1'`,
  ),
  mustFail(
    "datagram-to-other-run",
    "sends a datagram to another run by a socket that is bound to the interface",
    `perl -MSocket -e 'socket(S, AF_INET, SOCK_DGRAM, 0); setsockopt(S, SOL_SOCKET, 25, pack("a16", "eth0")); defined(send(S, "x", 0, sockaddr_in($ENV{PORT}, inet_aton($ENV{VICTIM_ADDRESS})))) or exit 1'`,
  ),
  mustFail("raw-socket", "opens a raw socket", "perl -MSocket -e 'socket(S, AF_INET, SOCK_RAW, 1) or exit 1'"),
  mustFail("packet-socket", "listens to all packets", "perl -MSocket -e 'socket(S, 17, SOCK_RAW, 768) or exit 1'"),
  mustFail("routes", "changes its routes", "ip route add 203.0.113.0/24 dev eth0"),
  mustFail("interfaces", "takes another address", "ip addr add 172.31.99.99/16 dev eth0"),
  mustFail("firewall", "changes the packet filter", "iptables -F || ip6tables -F"),
  mustFail("metadata", "asks the machine's metadata address", 'nc -w 2 169.254.169.254 "$PORT" </dev/null | grep -q .'),
  mustFail("inputs", "changes its inputs", "touch /berth/in/x"),
  mustFail("shim", "replaces the program that starts it", "cp /bin/true /.berth/shim || mv /.berth/shim /.berth/other"),
  mustFail(
    "control-folder",
    "puts a link where the control folder lies",
    "rmdir /berth/ctl || mv /berth/ctl /berth/other || ln -sfn /etc /berth/ctl/x",
  ),
  mustFail("image-files", "changes what its image holds", "echo x >> /etc/passwd || cp /bin/true /bin/sh"),
  mustFail("shadow", "reads what only root may", "cat /etc/shadow"),
];
