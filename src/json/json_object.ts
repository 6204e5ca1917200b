/** An object of parsed JSON, whose fields nobody has checked. */
export type JsonObject = Readonly<Record<string, unknown>>;

/** Whether parsed JSON is an object: no list, not null. */
export function isJsonObject(value: unknown): value is JsonObject {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
