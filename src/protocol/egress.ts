/** Where a step with an allow-list may connect to, as people write it: `pypi.org:443`, `10.1.0.0/16:5432`, `10.0.0.2:53/udp`. */
export interface Destination {
  readonly protocol: "tcp" | "udp";
  /** A name, or an IPv4 address. */
  readonly host: string;
  /** Of a network; 32 for one address, null for a name. */
  readonly bits: number | null;
  readonly port: number;
}

/** Of one list: each is a rule of the kernel, looked at for whatever is sent. */
export const DESTINATIONS_MAX = 64;
export const DESTINATION_RULE = 'must be "host:port" or "10.1.0.0/16:port", with "/udp" at the end where it is not TCP';

const FORM = /^(?<host>[A-Za-z0-9*.-]{1,253})(?:\/(?<bits>\d{1,2}))?:(?<port>\d{1,5})(?:\/(?<protocol>tcp|udp))?$/;
const NAME = /^(?!-)[A-Za-z0-9*-]{1,63}(\.[A-Za-z0-9*-]{1,63})*$/;

/** Null where it is none. IPv6 is not among them: a step with an allow-list has none of it. */
export function parseDestination(text: string): Destination | null {
  const { host, bits, port, protocol = "tcp" } = FORM.exec(text)?.groups ?? {};
  if (host === undefined || Number(port) < 1 || Number(port) > 65_535) return null;
  const rest = { protocol: protocol as Destination["protocol"], port: Number(port) };
  const parts = host.split(".");
  if (parts.every((part) => /^\d+$/.test(part))) {
    const isAddress = parts.length === 4 && parts.every((part) => Number(part) <= 255 && String(Number(part)) === part);
    return isAddress && Number(bits ?? 32) <= 32 ? { ...rest, host, bits: Number(bits ?? 32) } : null;
  }
  return NAME.test(host) && bits === undefined ? { ...rest, host, bits: null } : null;
}

/** Whether whatever the one reaches is reached by the other, whose name may be a pattern such as `*.example.com`. */
export function isWithin(one: Destination, other: Destination): boolean {
  if (one.protocol !== other.protocol || one.port !== other.port) return false;
  if (one.bits === null || other.bits === null) {
    return one.bits === other.bits && matchesName(one.host.toLowerCase(), other.host.toLowerCase());
  }
  const shift = 2 ** (32 - other.bits);
  return one.bits >= other.bits && Math.floor(numberOf(one.host) / shift) === Math.floor(numberOf(other.host) / shift);
}

/** `*` at the beginning stands for one or more parts of a name; elsewhere nothing does. */
function matchesName(name: string, pattern: string): boolean {
  return pattern.startsWith("*.") ? name.endsWith(pattern.slice(1)) : name === pattern;
}

function numberOf(address: string): number {
  return address.split(".").reduce((value, part) => value * 256 + Number(part), 0);
}
