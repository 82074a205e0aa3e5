/*
 * What leaves a network namespace, said by policies of the kernel's IPsec (xfrm). Routes alone are not enough: a socket that
 * is bound to an interface, or a datagram that names one, is sent there although no route leads anywhere. A policy is looked
 * up for whatever is sent, by address, protocol and port, and blocks it before it leaves. What stays on the loopback
 * interface is exempt.
 */

enum {
  NETLINK_XFRM = 6, XFRM_MSG_NEWPOLICY = 0x13, XFRM_POLICY_OUT = 1, XFRM_ALLOW = 0, XFRM_BLOCK = 1,
  IPPROTO_TCP = 6, IPPROTO_UDP = 17
};
/* Of two policies that fit, the lower number decides: nothing that a step was allowed opens the way to other runs. */
enum { ORDER_METADATA = 1, ORDER_GATEWAY = 2, ORDER_NEIGHBOURS = 3, ORDER_ALLOWED = 4, ORDER_REST = 5 };

struct selector {
  unsigned char to[16], from[16];
  unsigned short port, port_mask, source_port, source_port_mask, family;
  unsigned char bits, source_bits, protocol;
  int interface;
  unsigned int user;
};

struct policy_request {
  struct { unsigned int length; unsigned short type, flags; unsigned int sequence, port; } head;
  struct selector selector;
  ulong limits[8], used[4];
  unsigned int priority, index;
  unsigned char direction, action, flags, share;
};

/* Where something may be sent, or not: all addresses of a network, and where a protocol is named, one port of them. */
struct destination { unsigned int address; unsigned char bits, protocol; unsigned short port; };

static unsigned short network_order(unsigned short port) { return (unsigned short)(port << 8 | port >> 8); }

/* Returns 0, or a negative errno. */
static long set_policy(int netlink, int family, const void *to, const struct destination *what, int action, int order) {
  struct policy_request request;
  struct { unsigned int length; unsigned short type, flags; unsigned int sequence, port; int error; char rest[512]; } answer;
  memset(&request, 0, sizeof request);
  request.head.length = sizeof request;
  request.head.type = XFRM_MSG_NEWPOLICY;
  request.head.flags = NLM_F_REQUEST | NLM_F_ACK;
  memcpy(request.selector.to, to, family == AF_INET ? 4 : 16);
  request.selector.family = (unsigned short)family;
  request.selector.bits = what->bits;
  request.selector.protocol = what->protocol;
  if (what->protocol) {
    request.selector.port = network_order(what->port);
    request.selector.port_mask = 0xffff;
  }
  for (int i = 0; i < 4; i++) request.limits[i] = ~0UL;
  request.priority = (unsigned int)order;
  request.direction = XFRM_POLICY_OUT;
  request.action = (unsigned char)action;
  long sent = sys3(SYS_write, netlink, &request, sizeof request);
  if (sent < 0) return sent;
  long count = sys3(SYS_read, netlink, &answer, sizeof answer);
  if (count < 20 || answer.type != NLMSG_ERROR) return count < 0 ? count : -EPERM;
  return answer.error == -EEXIST ? 0 : answer.error;
}

static long set_policy4(int netlink, unsigned int address, unsigned char bits, int action, int order) {
  struct destination all = {address, bits, 0, 0};
  return set_policy(netlink, AF_INET, &address, &all, action, order);
}

/* `tcp:10.1.0.0/16:443`; returns 0 where it is not of that form. */
static int parse_destination(const char *text, struct destination *found) {
  unsigned char *bytes = (unsigned char *)&found->address;
  if (starts_with(text, "tcp:")) found->protocol = IPPROTO_TCP;
  else if (starts_with(text, "udp:")) found->protocol = IPPROTO_UDP;
  else return 0;
  text += 4;
  for (int i = 0; i < 4; i++) {
    long value = parse_number(text);
    if (*text < '0' || *text > '9' || value > 255) return 0;
    bytes[i] = (unsigned char)value;
    while (*text >= '0' && *text <= '9') text++;
    if (*text++ != (i < 3 ? '.' : '/')) return 0;
  }
  long bits = parse_number(text);
  if (*text < '0' || *text > '9' || bits > 32) return 0;
  found->bits = (unsigned char)bits;
  while (*text >= '0' && *text <= '9') text++;
  if (*text++ != ':') return 0;
  long port = parse_number(text);
  if (port < 1 || port > 65535) return 0;
  found->port = (unsigned short)port;
  return 1;
}

/* Whether `address` is one of the network's, both as they lie in memory. */
static int is_within(unsigned int address, const struct destination *network) {
  const unsigned char *one = (const unsigned char *)&address, *other = (const unsigned char *)&network->address;
  for (int bit = 0; bit < network->bits; bit++) {
    if ((one[bit / 8] ^ other[bit / 8]) & 0x80 >> bit % 8) return 0;
  }
  return 1;
}

/* Only this, and nothing else at all, in either version of the protocol. */
static void allow_only(int netlink, unsigned int gateway, char **allowed) {
  static const unsigned char none[16], loopback[16] = {[15] = 1};
  const struct destination rest = {0, 0, 0, 0}, itself = {0, 128, 0, 0};
  struct destination one;
  long error = set_policy(netlink, AF_INET6, loopback, &itself, XFRM_ALLOW, ORDER_ALLOWED);
  if (error >= 0 || error == -EAFNOSUPPORT) error = set_policy(netlink, AF_INET6, none, &rest, XFRM_BLOCK, ORDER_REST);
  if (error < 0 && error != -EAFNOSUPPORT) give_up("cannot close the network");
  for (; *allowed; allowed++) {
    if (!parse_destination(*allowed, &one)) give_up("usage: --hold [tcp|udp:ADDRESS/BITS:PORT]…");
    if (set_policy(netlink, AF_INET, &one.address, &one, XFRM_ALLOW, ORDER_ALLOWED) < 0) give_up("cannot allow a destination");
    if (!gateway || !is_within(gateway, &one)) continue;
    one.address = gateway;
    one.bits = 32;
    if (set_policy(netlink, AF_INET, &gateway, &one, XFRM_ALLOW, ORDER_GATEWAY) < 0) give_up("cannot allow the gateway");
  }
  if (set_policy4(netlink, 0, 0, XFRM_BLOCK, ORDER_REST) < 0) give_up("cannot close the network");
}
