/** IP addresses and ranges of them, as numbers of 128 bits. */

import { isIP } from "node:net";

/** All addresses that begin with the same bits. */
export interface AddressRange {
  readonly first: bigint;
  /** Of 128. */
  readonly bits: number;
}

/** Where IPv4 lies within IPv6. */
const IPV4: AddressRange = { first: 0xffffn << 32n, bits: 96 };

/** Where gateways of networks without IPv4 put the addresses of those with it (NAT64). */
const NAT64: AddressRange = { first: 0x64_ff9bn << 96n, bits: 96 };

/** What IPv6 hands out to anybody; all else has some other purpose. */
const GLOBAL_IPV6 = knownRange("2000::/3");

/** Within IPv4 and what IPv6 hands out: addresses that are not, or not surely, those of a host that all can reach. */
const SPECIAL = [
  "0.0.0.0/8", // This network.
  "10.0.0.0/8", // Private.
  "100.64.0.0/10", // Carrier-grade NAT.
  "127.0.0.0/8", // Loopback.
  "168.63.129.16", // What Azure's machines are told of themselves.
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
  "2001::/23", // Protocols, among them Teredo, which leads to IPv4.
  "2001:db8::/32", // Documentation.
  "2002::/16", // 6to4, which leads to IPv4.
  "3fff::/20", // Documentation.
].map(knownRange);

/** Reads an address as systems write it; "::ffff:1.2.3.4" is "1.2.3.4". Null: it is none. */
export function parseAddress(text: string): bigint | null {
  const version = isIP(text);
  if (version === 0) return null;
  if (version === 4) return IPV4.first | joined(text.split("."), 8, 10);
  return joined(groupsOf(text), 16, 16);
}

/** Reads "10.0.0.0/8", "fd00::/8" or a single address; null: it is none. */
export function parseRange(text: string): AddressRange | null {
  const [start = "", length, ...rest] = text.split("/");
  const first = parseAddress(start);
  if (first === null || rest.length > 0) return null;
  const most = isIP(start) === 4 ? 32 : 128;
  if (length === undefined) return { first, bits: 128 };
  if (!/^\d{1,3}$/.test(length) || Number(length) > most) return null;
  return { first, bits: 128 - most + Number(length) };
}

/** Whether an address is one of a range. */
export function isWithin(address: bigint, { first, bits }: AddressRange): boolean {
  return (address ^ first) >> BigInt(128 - bits) === 0n;
}

/** Whether an address is one that anybody can reach: not private, not of this machine or network, not reserved. */
export function isPublic(address: bigint): boolean {
  if (isWithin(address, NAT64)) return isPublic(IPV4.first | (address & 0xffff_ffffn));
  return (isWithin(address, IPV4) || isWithin(address, GLOBAL_IPV6)) &&
    !SPECIAL.some((range) => isWithin(address, range));
}

function knownRange(text: string): AddressRange {
  return parseRange(text)!;
}

/** The eight groups of an IPv6 address, as hexadecimal digits. */
function groupsOf(text: string): string[] {
  // What comes after "%" is a network interface. The parser of URLs writes all spellings alike.
  const { hostname } = new URL(`http://[${text.split("%")[0]}]`);
  const [left = [], right = []] = hostname.slice(1, -1).split("::")
    .map((half) => half.split(":").filter(Boolean));
  return [...left, ...Array(8 - left.length - right.length).fill("0"), ...right];
}

function joined(parts: readonly string[], bits: number, base: 10 | 16): bigint {
  return parts.reduce((sum, part) => sum << BigInt(bits) | BigInt(parseInt(part, base)), 0n);
}
