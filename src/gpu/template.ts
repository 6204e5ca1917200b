/**
 * The little template language of `shaders/*.wgsl`: what WGSL itself cannot say, and no more.
 *
 *     #include "activation"          the text of another shader file
 *     #for r in 0..ROWS              the lines up to #end, once for each r (bounds: numbers or names)
 *     #for c in x y z w              ... or once for each word
 *     #if SUBGROUPS / #if !SUBGROUPS / #else / #end
 *     ${r}                           the value of a name, anywhere in a line
 *
 * Loops over small arrays run at half the speed of unrolled text on software adapters
 * (and `enable`-like switches must vanish before the compiler sees them): hence a template.
 */

/** Names a template may use: numbers for bounds and `${...}`, booleans for `#if`. */
export type TemplateValues = Readonly<Record<string, number | boolean>>;

type Scope = ReadonlyMap<string, string>;

/** A line of expanded text, and where it comes from. */
export interface ExpandedLine {
  readonly text: string;
  /** The name of the template, or of the text that it includes. */
  readonly file: string;
  /** In that text, from 1. */
  readonly line: number;
}

/** What an expansion reads names and includes from, and where its lines go. */
interface Expansion {
  readonly scope: Scope;
  readonly includes: Readonly<Record<string, string>>;
  readonly output: ExpandedLine[];
}

/** A text that is being read. */
interface Lines {
  readonly file: string;
  readonly lines: readonly string[];
  next: number;
}

/**
 * Expands a template.
 *
 * @param source The template's text.
 * @param values What its names stand for.
 * @param includes Text by name for `#include`.
 * @throws {Error} When a directive is malformed, a name is unknown or an `#end` is missing.
 */
export function expand(
  source: string,
  values: TemplateValues = {},
  includes: Readonly<Record<string, string>> = {},
): string {
  return expandLines("", source, values, includes).map(({ text }) => text).join("\n");
}

/**
 * {@linkcode expand}, with where each line comes from.
 *
 * @param file The template's name.
 */
export function expandLines(
  file: string,
  source: string,
  values: TemplateValues,
  includes: Readonly<Record<string, string>>,
): ExpandedLine[] {
  const scope = new Map(Object.entries(values).map(([name, value]) => [name, String(value)]));
  const to = { scope, includes, output: [] };
  expandAll(file, source, to);
  return to.output;
}

function expandAll(file: string, text: string, to: Expansion): void {
  const stop = block({ file, lines: text.split("\n"), next: 0 }, to);
  if (stop !== null) throw new Error(`Template has "${stop}" without a beginning`);
}

/** Expands lines until the end of the text (null) or an `#else` / `#end` (which it returns). */
function block(input: Lines, to: Expansion): string | null {
  while (input.next < input.lines.length) {
    const line = input.lines[input.next++]!;
    const directive = /^\s*#(\w+)\s*(.*?)\s*$/.exec(line);
    if (directive === null) {
      to.output.push({ text: substitute(line, to.scope), file: input.file, line: input.next });
      continue;
    }
    const [, name, rest] = directive;
    if (name === "end" || name === "else") return `#${name}`;
    else if (name === "include") include(rest!, to);
    else if (name === "for") loop(rest!, input, to);
    else if (name === "if") condition(rest!, input, to);
    else throw new Error(`Template has an unknown directive "#${name}"`);
  }
  return null;
}

function include(argument: string, to: Expansion): void {
  const name = /^"([^"]+)"$/.exec(argument)?.[1];
  const text = name === undefined ? undefined : to.includes[name];
  if (text === undefined) throw new Error(`Template cannot include ${argument}`);
  expandAll(name!, text, to);
}

function loop(head: string, input: Lines, to: Expansion): void {
  const match = /^(\w+)\s+in\s+(?:(\w+)\.\.(\w+)|(.+))$/.exec(head);
  if (match === null) throw new Error(`Template cannot read "#for ${head}"`);
  const [, name, first, end, words] = match;
  const items = words !== undefined
    ? words.split(/\s+/)
    : range(bound(first!, to.scope), bound(end!, to.scope)).map(String);
  const body = input.next;
  // A loop over nothing still has to find its end.
  let stop = items.length === 0 ? skip(input) : null;
  for (const item of items) {
    input.next = body;
    stop = block(input, { ...to, scope: new Map([...to.scope, [name!, item]]) });
  }
  if (stop !== "#end") throw new Error(`Template's "#for ${head}" has no #end`);
}

function condition(head: string, input: Lines, to: Expansion): void {
  const match = /^(!?)(\w+)$/.exec(head);
  if (match === null) throw new Error(`Template cannot read "#if ${head}"`);
  const value = asValue(look(match[2]!, to.scope));
  const holds = (match[1] === "!") !== Boolean(value);
  const read = (taken: boolean) => taken ? block(input, to) : skip(input);
  let stop = read(holds);
  if (stop === "#else") stop = read(!holds);
  if (stop !== "#end") throw new Error(`Template's "#if ${head}" has no #end`);
}

/** Passes over lines that do not count, up to their `#else` or `#end` (which it returns). */
function skip(input: Lines): string | null {
  let depth = 0;
  while (input.next < input.lines.length) {
    const name = /^\s*#(\w+)/.exec(input.lines[input.next++]!)?.[1];
    if (name === "for" || name === "if") depth++;
    else if (depth === 0 && (name === "else" || name === "end")) return `#${name}`;
    else if (name === "end") depth--;
  }
  return null;
}

function substitute(line: string, scope: Scope): string {
  return line.replace(/\$\{(\w+)\}/g, (_, name) => look(name, scope));
}

function look(name: string, scope: Scope): string {
  const value = scope.get(name);
  if (value === undefined) throw new Error(`Template does not know the name "${name}"`);
  return value;
}

function bound(text: string, scope: Scope): number {
  const value = Number(/^\d+$/.test(text) ? text : look(text, scope));
  if (!Number.isInteger(value)) throw new Error(`Template's bound "${text}" is not a whole number`);
  return value;
}

function asValue(text: string): number | boolean {
  return text === "true" ? true : text === "false" ? false : Number(text);
}

function range(from: number, to: number): number[] {
  return Array.from({ length: Math.max(0, to - from) }, (_, i) => from + i);
}
