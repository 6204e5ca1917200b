/** Random numbers that a seed decides, so that a failure can be repeated (mulberry32). */
export function seededRandom(seed: number): () => number {
  return () => {
    seed = (seed + 0x6d2b79f5) | 0;
    let t = Math.imul(seed ^ (seed >>> 15), seed | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  };
}

type Random = () => number;
type Mutation = (bytes: Uint8Array<ArrayBuffer>, random: Random) => Uint8Array<ArrayBuffer>;

const below = (random: Random, limit: number) => Math.floor(random() * limit);

/** Numbers at which checks go wrong. */
const EDGES = [0, 1, 0x7f, 0x80, 0xff, 0xffff, 0x7fffffff, 0x80000000, 0xffffffff];

const MUTATIONS: readonly Mutation[] = [
  (bytes, random) => withPatch(bytes, random, (view, at) => view.setUint8(at, below(random, 256))),
  (bytes, random) =>
    withPatch(bytes, random, (view, at) => {
      view.setUint8(at, view.getUint8(at) ^ (1 << below(random, 8)));
    }),
  (bytes, random) =>
    withPatch(bytes, random, (view, at) => {
      const edge = EDGES[below(random, EDGES.length)]!;
      if (at + 4 <= view.byteLength) view.setUint32(at, edge, true);
    }),
  (bytes, random) => bytes.slice(0, below(random, bytes.length + 1)),
  // A part moved, repeated or taken out.
  (bytes, random) => {
    const [from, to] = [below(random, bytes.length), below(random, bytes.length)];
    const part = bytes.slice(from, from + 1 + below(random, 64));
    const rest = bytes.subarray(to + (random() < 0.5 ? part.length : 0));
    return Uint8Array.from([...bytes.subarray(0, to), ...part, ...rest]);
  },
];

/** A copy of `bytes` with one to four changes, mostly one. */
export function mutate(
  bytes: Uint8Array<ArrayBuffer>,
  random: Random,
): Uint8Array<ArrayBuffer> {
  let copy = bytes.slice();
  do {
    if (copy.length === 0) return copy;
    copy = MUTATIONS[below(random, MUTATIONS.length)]!(copy, random);
  } while (random() < 0.3);
  return copy;
}

function withPatch(
  bytes: Uint8Array<ArrayBuffer>,
  random: Random,
  patch: (view: DataView, at: number) => void,
): Uint8Array<ArrayBuffer> {
  patch(new DataView(bytes.buffer), below(random, bytes.length));
  return bytes;
}
