/** What a request is for, read once, at the door: all that is verified and routed later comes from what is checked here. */

/** A name, an IPv4 or an IPv6 address, and a port. */
const HOST = /^(?:[a-z0-9._-]+|\[[0-9a-f:.]+\])(?::\d{1,5})?$/i;

/** A path and a query of visible ASCII without "\" and "#", of which parsers of addresses think differently. */
const PATH_AND_QUERY = /^(\/[!"$-[\]-~]*?)(?:\?[!"$-[\]-~]*)?$/;

/** What a request says of where it goes. */
export interface Target {
  /** What stands behind the method. */
  readonly address: string;
  /** Each `Host` that was sent. */
  readonly hosts: readonly string[];
}

/**
 * Says what is not plain about a request; null: nothing is. A plain one has one meaning for every parser of addresses: a proxy's, the
 * router's, and whatever verifies a signature.
 *
 * @returns A sentence for who sent it.
 */
export function whatIsNotPlain({ address, hosts }: Target): string | null {
  const [host] = hosts;
  if (host === undefined || hosts.length > 1) return "Send one Host with the request.";
  if (!HOST.test(host)) {
    return "The Host of the request is none: send a name or an address, and a port where there is one.";
  }
  const [, authority = host, rest = address] = /^http:\/\/([^/?]*)(.*)$/is.exec(address) ?? [];
  if (authority.toLowerCase() !== host.toLowerCase()) {
    return "The address of the request is that of another server than its Host.";
  }
  const [, path] = PATH_AND_QUERY.exec(rest) ?? [];
  if (path === undefined || /%(?![0-9a-f]{2})/i.test(path)) {
    return `The address of the request has to be a path, with all that is special in it (spaces, "\\", "#", letters with accents) percent-encoded.`;
  }
  const url = URL.parse(`http://${host}${rest}`);
  if (url === null || url.host !== host.toLowerCase().replace(/:0*80$/, "")) {
    return "The Host of the request is written in an unusual way: send a name, or an address as it is usually written.";
  }
  if (url.pathname === path) return null;
  return `The path of the request is not in its plain form: leave out "." and "..", and percent-encode what is special.`;
}
