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
