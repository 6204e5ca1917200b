import type { ExpandedLine } from "./template.ts";

/**
 * A compiler's message about an expanded shader, with the files and lines that the shader was written in. The compiler (naga) names a
 * place twice: `┌─ wgsl:119:12`, and `119 │` before the text of the line.
 */
export function inOwnLines(message: string, lines: readonly ExpandedLine[]): string {
  return message
    .replace(/(┌─ )[^:\n]*:(\d+):\d+/g, (all, mark, number) => {
      const own = lines[Number(number) - 1];
      return own === undefined ? all : `${mark}shaders/${own.file}.wgsl:${own.line}`;
    })
    .replace(/^( *)(\d+)(?= │)/gm, (all, indent, number) => {
      const own = lines[Number(number) - 1];
      return own === undefined ? all : `${indent}${own.line}`;
    });
}
