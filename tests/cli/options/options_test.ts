import assert from "../../assert.ts";
import {
  type Command,
  help,
  integer,
  number,
  oneOf,
  parse,
} from "../../../src/cli/options/options.ts";
import { UsageError } from "../../../src/errors.ts";

const GENERATE = {
  name: "mdm generate",
  summary: "Make pictures from a prompt",
  usage: "PROMPT... [options]",
  options: [
    { long: "output", short: "o", value: "FILE", description: "Where to write the picture" },
    { long: "count", short: "n", value: "N", description: "How many pictures", default: "1" },
    {
      long: "steps",
      value: "N",
      description: "Diffusion steps: more take longer and look better, up to about a hundred",
      default: "20",
    },
    { long: "eta", value: "X", description: "Noise of DDIM" },
    { long: "json", description: "Print JSON" },
    { long: "quiet", short: "q", description: "Print nothing" },
  ],
  examples: [
    { description: "One picture", command: `mdm generate "a red circle"` },
    { description: "Four of them", command: `mdm generate -n 4 "a red circle"` },
  ],
} as const satisfies Command;

const DEFAULTS = {
  output: undefined,
  count: "1",
  steps: "20",
  eta: undefined,
  json: false,
  quiet: false,
  help: false,
};

function assertUsage(run: () => unknown, message: string) {
  assert.throws(run, (error) => {
    assert.ok(error instanceof UsageError, String(error));
    assert.equal(error.message, message);
    assert.equal(error.exitCode, 2);
    return true;
  });
}

Deno.test("parse: defaults", () => {
  assert.deepEqual(parse(GENERATE, []), { values: DEFAULTS, positionals: [] });
});

Deno.test("parse: the values have the types that the declaration says", () => {
  const { values } = parse(GENERATE, []);
  const steps: string = values.steps;
  const eta: string | undefined = values.eta;
  const json: boolean = values.json;
  assert.deepEqual([steps, eta, json], ["20", undefined, false]);
});

Deno.test("parse: long, short, joined and grouped options between positionals", () => {
  const argv = ["a red circle", "--steps=5", "-qn4", "--json", "-o", "x.png", "a star"];
  assert.deepEqual(parse(GENERATE, argv), {
    values: { ...DEFAULTS, steps: "5", quiet: true, count: "4", json: true, output: "x.png" },
    positionals: ["a red circle", "a star"],
  });
});

Deno.test("parse: the last one of a repeated option counts", () => {
  assert.equal(parse(GENERATE, ["--steps", "5", "--steps", "6"]).values.steps, "6");
});

Deno.test("parse: -- ends the options, - is a positional", () => {
  assert.deepEqual(parse(GENERATE, ["-", "--", "--json", "-x"]), {
    values: DEFAULTS,
    positionals: ["-", "--json", "-x"],
  });
});

Deno.test("parse: a number below zero is a value", () => {
  for (const value of ["-1", "-.5", "-0.5", "-1e3"]) {
    assert.equal(parse(GENERATE, ["--eta", value]).values.eta, value);
    assert.equal(parse(GENERATE, [`--eta=${value}`]).values.eta, value);
  }
});

Deno.test("parse: --help and -h", () => {
  assert.equal(parse(GENERATE, ["--help"]).values.help, true);
  assert.equal(parse(GENERATE, ["-h"]).values.help, true);
});

Deno.test("parse: an unknown option, with the nearest known one", () => {
  const suggestions = [
    ["--step", "--steps"],
    ["--setps", "--steps"],
    ["--STEPS", "--steps"],
    ["--stepss=3", "--steps"],
    ["--out", "--output"],
    ["--ouptut", "--output"],
    ["--jsn", "--json"],
    ["--hlep", "--help"],
  ];
  for (const [typed, meant] of suggestions) {
    const name = typed!.split("=")[0];
    assertUsage(
      () => parse(GENERATE, [typed!]),
      `Unknown option "${name}". Did you mean "${meant}"?`,
    );
  }
  for (const typed of ["--frobnicate", "--no-json", "--constructor", "--__proto__", "-x", "-5"]) {
    assertUsage(
      () => parse(GENERATE, [typed]),
      `Unknown option "${typed}". See "mdm generate --help".`,
    );
  }
});

Deno.test("parse: a missing value", () => {
  assertUsage(
    () => parse(GENERATE, ["a", "--steps"]),
    `Option "--steps" needs a value: "--steps N".`,
  );
  assertUsage(() => parse(GENERATE, ["-o"]), `Option "-o" needs a value: "-o FILE".`);
  assertUsage(
    () => parse(GENERATE, ["--output", "--json"]),
    `Option "--output" needs a value, not the option "--json". If "--json" is the value, write ` +
      `"--output=--json".`,
  );
  assertUsage(
    () => parse(GENERATE, ["-o", "-q"]),
    `Option "-o" needs a value, not the option "-q". If "-q" is the value, write "-o-q".`,
  );
  assert.equal(parse(GENERATE, ["--output=--json"]).values.output, "--json");
  assert.equal(parse(GENERATE, ["-o-q"]).values.output, "-q");
});

Deno.test("parse: a flag takes no value", () => {
  assertUsage(
    () => parse(GENERATE, ["--json=yes"]),
    `Option "--json" takes no value. Leave out "=yes".`,
  );
});

Deno.test("integer", () => {
  const bounds = { name: "--steps", min: 1, max: 1000 };
  for (const [text, value] of [["1", 1], ["1000", 1000], ["+7", 7], ["007", 7]] as const) {
    assert.equal(integer(text, bounds), value);
  }
  for (const text of ["0", "1001", "-1", "1.5", "1e2", "0x10", "", " 1", "ten", "Infinity"]) {
    assertUsage(
      () => integer(text, bounds),
      `Option "--steps" needs an integer from 1 to 1000, not "${text}".`,
    );
  }
  assertUsage(
    () => integer("-1", { name: "--seed", min: 0 }),
    `Option "--seed" needs an integer of at least 0, not "-1".`,
  );
  assertUsage(
    () => integer("5", { name: "-n", max: 4 }),
    `Option "-n" needs an integer of at most 4, not "5".`,
  );
  assert.equal(integer("9007199254740991", { name: "--seed" }), Number.MAX_SAFE_INTEGER);
  assertUsage(
    () => integer("9007199254740993", { name: "--seed" }),
    `Option "--seed" needs an integer, not "9007199254740993".`,
  );
});

Deno.test("number", () => {
  const bounds = { name: "--eta", min: 0, max: 1 };
  for (const [text, value] of [["0", 0], ["1.", 1], [".5", 0.5], ["+5E-1", 0.5]] as const) {
    assert.equal(number(text, bounds), value);
  }
  for (const text of ["-1", "1.01", "", ".", "NaN", "0x1", "1e400", "half", "1,5"]) {
    assertUsage(
      () => number(text, bounds),
      `Option "--eta" needs a number from 0 to 1, not "${text}".`,
    );
  }
  assertUsage(
    () => number("1e400", { name: "--guidance" }),
    `Option "--guidance" needs a number, not "1e400".`,
  );
});

Deno.test("help: columns, wrapped descriptions, defaults and examples", () => {
  assert.equal(
    help(GENERATE, 80),
    `mdm generate: Make pictures from a prompt

Usage:
  mdm generate PROMPT... [options]

Options:
  -o, --output FILE  Where to write the picture
  -n, --count N      How many pictures (default: 1)
      --steps N      Diffusion steps: more take longer and look better, up to
                     about a hundred (default: 20)
      --eta X        Noise of DDIM
      --json         Print JSON
  -q, --quiet        Print nothing
  -h, --help         Show this help

Examples:
  # One picture
  mdm generate "a red circle"

  # Four of them
  mdm generate -n 4 "a red circle"
`,
  );
});

Deno.test("help: descriptions are as wide as the terminal, but never narrower than can be read", () => {
  const widest = (columns: number) =>
    Math.max(...help(GENERATE, columns).split("\n").map((line) => line.length));
  const steps =
    "Diffusion steps: more take longer and look better, up to about a hundred (default: 20)";
  assert.ok(help(GENERATE, 200).includes(steps));
  assert.ok(widest(60) <= 60);
  assert.ok(widest(60) > 50);
  assert.equal(help(GENERATE, 10), help(GENERATE, 45));
});

Deno.test("an empty value is none where a name is needed, and one where a text is", () => {
  for (const argv of [["--output", ""], ["--output="], ["-o", ""]]) {
    const typed = argv[0]!.replace("=", "");
    assertUsage(() => parse(GENERATE, argv), `Option "${typed}" needs a value: "${typed} FILE".`);
  }
  for (const value of ["PATH", "FOLDER", "DIR", "NAME", "ADDRESS"]) {
    const command = { ...GENERATE, options: [{ long: "x", value, description: "" }] };
    assertUsage(() => parse(command, ["--x="]), `Option "--x" needs a value: "--x ${value}".`);
  }
  assert.equal(parse(GENERATE, ["--eta", ""]).values.eta, "");
  assert.equal(parse(GENERATE, ["--eta="]).values.eta, "");
});

Deno.test("help: a command without options or examples", () => {
  assert.equal(
    help({
      name: "mdm doctor",
      summary: "Look at the device",
      usage: "",
      options: [],
      examples: [],
    }, 80),
    `mdm doctor: Look at the device

Usage:
  mdm doctor

Options:
  -h, --help  Show this help
`,
  );
});

Deno.test("oneOf: a known name, else all of them and the nearest", () => {
  const bounds = { name: "--sampler", names: ["ddpm", "ddim"] } as const;
  const name: "ddpm" | "ddim" = oneOf("ddim", bounds);
  assert.equal(name, "ddim");
  assertUsage(
    () => oneOf("DDIM", bounds),
    `Option "--sampler" needs one of "ddpm", "ddim", not "DDIM". Did you mean "ddim"?`,
  );
  assertUsage(
    () => oneOf("euler", bounds),
    `Option "--sampler" needs one of "ddpm", "ddim", not "euler".`,
  );
});
