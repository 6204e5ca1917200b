import assert from "../assert.ts";
import { expand, type TemplateValues } from "../../src/gpu/template.ts";

const lines = (text: string, values: TemplateValues = {}, includes: Record<string, string> = {}) =>
  expand(text, values, includes).split("\n");

Deno.test("text without directives stays as it is", () => {
  const text = "fn main() {\n  let x = a#b; // # no directive\n}\n";
  assert.equal(expand(text), text);
});

Deno.test("${name} is replaced wherever it stands", () => {
  assert.equal(expand("a${N}b${M}${N}", { N: 3, M: false }), "a3bfalse3");
});

Deno.test("#for runs over numbers, the upper bound left out", () => {
  assert.deepEqual(lines("#for i in 0..3\nx${i};\n#end"), ["x0;", "x1;", "x2;"]);
  assert.deepEqual(lines("#for i in FROM..TO\n${i}\n#end", { FROM: 2, TO: 4 }), ["2", "3"]);
});

Deno.test("#for runs over words, one of them too", () => {
  assert.deepEqual(lines("#for c in x y z\nv.${c}\n#end"), ["v.x", "v.y", "v.z"]);
  assert.deepEqual(lines("#for c in  x \nv.${c}\n#end"), ["v.x"]);
});

Deno.test("#for over nothing leaves nothing, whatever stands inside", () => {
  const text =
    "a\n#for i in 0..N\n${unknown}\n#if UNKNOWN\n#else\n#end\n#for j in 0..M\n#end\n#end\nb";
  assert.deepEqual(lines(text, { N: 0 }), ["a", "b"]);
  assert.deepEqual(lines("#for i in 3..1\nx\n#end\nb"), ["b"]);
});

Deno.test("an inner #for sees the outer one's names and may hide them", () => {
  assert.deepEqual(
    lines("#for i in 0..2\n#for j in i..2\n${i}${j}\n#end\n#for i in 7..8\n${i}\n#end\n${i}\n#end"),
    ["00", "01", "7", "0", "11", "7", "1"],
  );
});

Deno.test("#if, #if ! and #else take one branch", () => {
  const text = "#if A\nyes\n#else\nno\n#end";
  assert.deepEqual(lines(text, { A: true }), ["yes"]);
  assert.deepEqual(lines(text, { A: false }), ["no"]);
  assert.deepEqual(lines(text, { A: 0 }), ["no"]);
  assert.deepEqual(lines(text, { A: 2 }), ["yes"]);
  assert.deepEqual(lines(text.replace("A", "!A"), { A: true }), ["no"]);
  assert.deepEqual(lines("#if !A\nyes\n#end\nb", { A: true }), ["b"]);
});

Deno.test("a branch not taken may hold unknown names and blocks of its own", () => {
  const hidden = '${unknown}\n#for i in 0..UNKNOWN\n#if X\n#else\n#end\n#end\n#include "none"';
  assert.deepEqual(lines(`#if A\n${hidden}\n#else\nno\n#end`, { A: false }), ["no"]);
  assert.deepEqual(lines(`#if A\nyes\n#else\n${hidden}\n#end`, { A: true }), ["yes"]);
});

Deno.test("conditions nest in loops and see the loop's name", () => {
  const text = "#for i in 0..3\n#if i\n#if A\n${i}\n#end\n#else\nzero\n#end\n#end";
  assert.deepEqual(lines(text, { A: true }), ["zero", "1", "2"]);
});

Deno.test("#include expands the other text with the names in force", () => {
  const includes = { part: "#for j in 0..N\n${i}${j}\n#end", outer: '#include "part"' };
  assert.deepEqual(
    lines('#for i in 0..2\n  #include "outer"\n#end', { N: 2 }, includes),
    ["00", "01", "10", "11"],
  );
  assert.deepEqual(
    lines('#for i in x y\n#include "part"\n#end', { N: 1 }, includes),
    ["x0", "y0"],
  );
});

Deno.test("mistakes are errors that say what is wrong", () => {
  const mistakes: [string, string][] = [
    ["${N}", 'Template does not know the name "N"'],
    ["#if N\n#end", 'Template does not know the name "N"'],
    ["#for i in 0..N\n#end", 'Template does not know the name "N"'],
    ["#for i in 0..HALF\n#end", 'Template\'s bound "HALF" is not a whole number'],
    ["#for i of 0..2\n#end", 'Template cannot read "#for i of 0..2"'],
    ["#if A B\n#end", 'Template cannot read "#if A B"'],
    ["#loop\n#end", 'Template has an unknown directive "#loop"'],
    ["#include part", "Template cannot include part"],
    ['#include "none"', 'Template cannot include "none"'],
    ["a\n#end", 'Template has "#end" without a beginning'],
    ["#else", 'Template has "#else" without a beginning'],
    ["#for i in 0..2\nx", 'Template\'s "#for i in 0..2" has no #end'],
    ["#for i in 0..0\nx", 'Template\'s "#for i in 0..0" has no #end'],
    ["#for i in 0..2\n#else\n#end", 'Template\'s "#for i in 0..2" has no #end'],
    ["#for i in 0..0\n#else\n#end", 'Template\'s "#for i in 0..0" has no #end'],
    ["#if A\nx", 'Template\'s "#if A" has no #end'],
    ["#if !A\nx", 'Template\'s "#if !A" has no #end'],
    ["#if A\n#else\n#else\n#end", 'Template\'s "#if A" has no #end'],
  ];
  for (const [text, message] of mistakes) {
    assert.throws(() => expand(text, { A: true, HALF: 0.5 }), new Error(message), text);
  }
  assert.throws(
    () => expand('#include "part"', {}, { part: "#end" }),
    new Error('Template has "#end" without a beginning'),
  );
});
