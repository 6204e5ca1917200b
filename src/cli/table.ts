/** Rows as indented lines of aligned columns: those before `left` to the left (only the first unless said), the others to the right. */
export function table(
  rows: readonly (readonly string[])[],
  { left = 1 }: { left?: number } = {},
): string {
  const widths: number[] = [];
  for (const row of rows) {
    row.forEach((cell, i) => widths[i] = Math.max(widths[i] ?? 0, cell.length));
  }
  const line = (row: readonly string[]) =>
    row.map((cell, i) => i < left ? cell.padEnd(widths[i]!) : cell.padStart(widths[i]!)).join("  ");
  return rows.map((row) => `  ${line(row)}`.trimEnd()).join("\n");
}

/** "1.8 MiB" */
export function formatBytes(bytes: number): string {
  return scaled(bytes, 1024, ["bytes", "KiB", "MiB", "GiB"]);
}

/** "1.2 GFLOP" */
export function formatFlops(flops: number): string {
  return scaled(flops, 1000, ["FLOP", "kFLOP", "MFLOP", "GFLOP", "TFLOP"]);
}

function scaled(value: number, base: number, units: readonly string[]): string {
  let power = 0;
  while (value >= base && power < units.length - 1) {
    value /= base;
    power++;
  }
  return `${power === 0 ? value : value.toFixed(1)} ${units[power]}`;
}
