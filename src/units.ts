/** "1.8 MiB" */
export function formatBytes(bytes: number): string {
  return scaled(bytes, 1024, ["bytes", "KiB", "MiB", "GiB"]);
}

/** "1.2 GFLOP" */
export function formatFlops(flops: number): string {
  return scaled(flops, 1000, ["FLOP", "kFLOP", "MFLOP", "GFLOP", "TFLOP"]);
}

const POWERS = ["", "k", "m", "g", "t"];

/** The bytes of a size as people write it, such as "4GB" (4 * 1000^3) or "512MiB" (512 * 1024^2); null where it is none. */
export function parseBytes(text: string): number | null {
  const match = /^(\d+\.?\d*|\.\d+)\s*([kmgt]?)(i?)b?$/i.exec(text);
  if (match === null) return null;
  const [, value, prefix, binary] = match;
  return Math.floor(
    Number(value) * (binary ? 1024 : 1000) ** POWERS.indexOf(prefix!.toLowerCase()),
  );
}

function scaled(value: number, base: number, units: readonly string[]): string {
  let power = 0;
  while (value >= base && power < units.length - 1) {
    value /= base;
    power++;
  }
  return `${power === 0 ? value : value.toFixed(1)} ${units[power]}`;
}
