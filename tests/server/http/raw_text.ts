/** What zod says by itself, which is not for people. */
export const RAW_TEXT =
  /Invalid (input|option|string|URL|ISO)|expected|received|Too (small|big)|Unrecognized key|[<>]=|undefined|\[object/;
