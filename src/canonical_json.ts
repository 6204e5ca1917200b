/** Plain data as text that is the same for the same data, in whatever order its fields are; big integers are their digits. */
export function canonicalJson(data: unknown): string {
  return JSON.stringify(data, (_, value) => {
    if (typeof value === "bigint") return String(value);
    return value?.constructor === Object
      ? Object.fromEntries(Object.entries(value).sort(([a], [b]) => a < b ? -1 : 1))
      : value;
  });
}
