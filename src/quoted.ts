/** A text of a person or a file as part of a sentence: quoted, control characters escaped, cut. */
export function quoted(text: string, length = 60): string {
  // Characters have two code units at most: of a long text no more is looked at than is needed.
  const letters = [...text.slice(0, 2 * (length + 1))];
  return JSON.stringify(
    letters.length > length ? `${letters.slice(0, length).join("")}...` : text,
  );
}
