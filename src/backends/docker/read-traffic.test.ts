import assert from "node:assert/strict";
import { test } from "node:test";
import { parseTraffic, readTraffic } from "./read-traffic.ts";

const DEV = `Inter-|   Receive                                                |  Transmit
 face |bytes    packets errs drop fifo frame compressed multicast|bytes    packets errs drop fifo colls carrier compressed
    lo:    9999      10    0    0    0     0          0         0     9999      10    0    0    0     0       0          0
  eth0:    1200      10    0    0    0     0          0         0      340       4    0    0    0     0       0          0
eth1:5 1 0 0 0 0 0 0 7 1 0 0 0 0 0 0
`;

test("traffic is what all interfaces but the loopback received and sent", () => {
  assert.deepEqual(parseTraffic(DEV), { received: 1205, sent: 347 });
});

test("a process that is gone has no network", () => {
  assert.equal(readTraffic(2 ** 22 + 1), null);
});
