/** Ranges of IP addresses, and which addresses anybody can reach. */
import { BlockList, isIP } from "node:net";

/** Where gateways of networks without IPv4 put the addresses of those with it (NAT64), 96 bits of it. */
const NAT64 = "64:ff9b::";

/** IPv4, and what IPv6 hands out to anybody; all else has some other purpose. */
const GLOBAL = listOf(["0.0.0.0/0", "2000::/3", `${NAT64}/96`]);

/** Within these, IPv4 addresses that are not, or not surely, those of a host that all can reach. */
const SPECIAL_IPV4 = [
  "0.0.0.0/8", // This network.
  "10.0.0.0/8", // Private.
  "100.64.0.0/10", // Carrier-grade NAT.
  "127.0.0.0/8", // Loopback.
  "168.63.129.16/32", // What Azure's machines are told of themselves.
  "169.254.0.0/16", // Link-local, and what machines of most clouds are told of themselves.
  "172.16.0.0/12", // Private.
  "192.0.0.0/24", // Protocols.
  "192.0.2.0/24", // Documentation.
  "192.88.99.0/24", // Gateways of 6to4.
  "192.168.0.0/16", // Private.
  "198.18.0.0/15", // Measurements.
  "198.51.100.0/24", // Documentation.
  "203.0.113.0/24", // Documentation.
  "224.0.0.0/4", // Multicast.
  "240.0.0.0/4", // Reserved, and broadcast.
];

/** The same of IPv6. */
const SPECIAL_IPV6 = [
  "2001::/23", // Protocols, among them Teredo, which leads to IPv4.
  "2001:db8::/32", // Documentation.
  "2002::/16", // 6to4, which leads to IPv4.
  "3fff::/20", // Documentation.
];

const SPECIAL = listOf([...SPECIAL_IPV4, ...SPECIAL_IPV4.map(throughNat64), ...SPECIAL_IPV6]);

/** Whether a text is an IP address as systems write it. */
export function isAddress(text: string): boolean {
  return isIP(text) !== 0;
}

/** Reads "10.0.0.0/8", "fd00::/8" or a single address; null: it is none. */
export function parseRange(text: string): BlockList | null {
  const [start = "", length, ...rest] = text.split("/");
  const version = isIP(start);
  if (version === 0 || rest.length > 0) return null;
  const most = version === 4 ? 32 : 128;
  if (length !== undefined && (!/^\d{1,3}$/.test(length) || Number(length) > most)) return null;
  return listOf([`${withoutZone(start)}/${length ?? most}`]);
}

/** Whether an address is one of a range; "::ffff:1.2.3.4" is "1.2.3.4". */
export function isWithin(address: string, range: BlockList): boolean {
  const plain = withoutZone(address);
  if (isIP(plain) === 6) return range.check(plain, "ipv6");
  return range.check(plain, "ipv4") || range.check(`::ffff:${plain}`, "ipv6");
}

/** Whether an address is one that anybody can reach: not private, not of this machine or network, not reserved. */
export function isPublic(address: string): boolean {
  return isWithin(address, GLOBAL) && !isWithin(address, SPECIAL);
}

function listOf(ranges: readonly string[]): BlockList {
  const list = new BlockList();
  for (const range of ranges) {
    const [start, length] = range.split("/") as [string, string];
    list.addSubnet(start, Number(length), isIP(start) === 4 ? "ipv4" : "ipv6");
  }
  return list;
}

function throughNat64(range: string): string {
  const [start, length] = range.split("/");
  return `${NAT64}${start}/${96 + Number(length)}`;
}

/** What comes after "%" is a network interface. */
function withoutZone(address: string): string {
  return address.split("%")[0]!;
}
