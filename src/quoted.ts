/** A text of a person or a file as part of a sentence: quoted, control characters escaped, cut. */
export function quoted(text: string, length = 60): string {
  // Characters have two code units at most: of a long text no more is looked at than is needed.
  const letters = [...text.slice(0, 2 * (length + 1))];
  return JSON.stringify(
    letters.length > length ? `${letters.slice(0, length).join("")}...` : text,
  );
}

/** Letters of a text that {@linkcode shown} repeats. */
const REPEATED = 40;

/** A value that was given, as part of a sentence: itself where it is short, else of what kind it is. */
export function shown(value: unknown): string {
  switch (typeof value) {
    case "string":
      return value.length <= REPEATED ? quoted(value) : `text of ${value.length} letters`;
    case "function":
      return "a function";
    case "object":
      if (Array.isArray(value)) return shownList(value);
      return value === null ? "null" : "an object";
    default:
      if (value === Infinity || value === -Infinity) return "a number without bounds";
      return String(value);
  }
}

function shownList(list: readonly unknown[]): string {
  if (list.length === 0) return "an empty list";
  const isShort = list.length <= 3 && list.every((value) => typeof value === "number");
  return isShort ? `[${list.join(", ")}]` : `a list of ${list.length}`;
}
