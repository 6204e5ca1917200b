import assert from "../assert.ts";
import { delimiter, join } from "node:path";

const ROOT = new URL("../..", import.meta.url);

/** Stands in for sudo, which a person who is not root needs. */
const SUDO = `[ "$1" = -n ] || exec "$@"`;

/** Runs a setup task where only these programs are found, given as the text of shell scripts. */
async function setup(
  programs: Record<string, string>,
  env: Record<string, string> = {},
  task = "setup",
) {
  const folder = await Deno.makeTempDir();
  try {
    for (const [name, script] of Object.entries(programs)) {
      await Deno.writeTextFile(join(folder, name), `#!/bin/sh\n${script}\n`, { mode: 0o755 });
    }
    const { code, stdout, stderr } = await new Deno.Command(Deno.execPath(), {
      args: ["task", "--quiet", task],
      cwd: ROOT,
      env: { PATH: folder + delimiter, NO_COLOR: "1", ...env },
    }).output();
    assert.equal(new TextDecoder().decode(stdout), "");
    return { code, lines: new TextDecoder().decode(stderr).trim().split("\n") };
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

const NO_GPU = { DENO_WEBGPU_BACKEND: "none" };

const NOTHING_WORKS = 'No WebGPU adapter works on this machine; "deno task mdm doctor" says more.';

const ONLY_OPENGL =
  "Only OpenGL in software works on this machine, which is about 25 times slower than Vulkan.";

Deno.test("setup does nothing and says nothing where an adapter computes", async () => {
  const { code, lines } = await setup({ "apt-get": "echo called", sudo: SUDO });
  assert.deepEqual({ code, lines }, { code: 0, lines: [""] });
});

Deno.test("setup installs with apt-get, and says when still no adapter works", async () => {
  const { code, lines } = await setup({ "apt-get": `echo "apt-get got: $*"`, sudo: SUDO }, NO_GPU);
  const install = "install -y --no-install-recommends mesa-vulkan-drivers libvulkan1";
  assert.deepEqual(lines.map((line) => line.replace("$ sudo ", "$ ")), [
    NOTHING_WORKS,
    "Installing the Vulkan loader and Mesa's software driver.",
    "$ apt-get update",
    "apt-get got: update",
    `$ apt-get ${install}`,
    `apt-get got: ${install}`,
    NOTHING_WORKS,
  ]);
  assert.equal(code, 1);
});

Deno.test("setup says what to run by hand when apt-get fails", async () => {
  const script = `[ "$1" = --version ] || { echo "E: no network" >&2; exit 100; }`;
  const { code, lines } = await setup({ "apt-get": script, sudo: SUDO }, NO_GPU);
  assert.equal(lines.filter((line) => line === "E: no network").length, 2);
  assert.equal(
    lines.at(-1)!.replaceAll("sudo ", ""),
    "The installation failed. Mend what it says above, then run: apt-get update && " +
      "apt-get install -y --no-install-recommends mesa-vulkan-drivers libvulkan1",
  );
  assert.equal(code, 1);
});

Deno.test("setup names the packages where there is no apt-get", async () => {
  assert.deepEqual(await setup({}, NO_GPU), {
    code: 1,
    lines: [
      NOTHING_WORKS,
      "Install a Vulkan driver and the Vulkan loader with your system's packages, for example " +
      '"dnf install mesa-vulkan-drivers vulkan-loader".',
    ],
  });
});

Deno.test("setup installs Vulkan where there is OpenGL in software, and lets that do where it cannot", async () => {
  // Where there is no OpenGL either, it fails, as above.
  const openGl = { DENO_WEBGPU_BACKEND: "gl" };
  const { code, lines } = await setup({ "apt-get": "echo called", sudo: SUDO }, openGl);
  const slow = lines[0] === ONLY_OPENGL;
  const problem = slow ? ONLY_OPENGL : NOTHING_WORKS;
  assert.deepEqual(lines.slice(0, 2), [
    problem,
    "Installing the Vulkan loader and Mesa's software driver.",
  ]);
  assert.equal(lines.at(-1), problem);
  assert.equal(code, slow ? 0 : 1);
  const byHand = await setup({}, openGl);
  assert.equal(byHand.lines.length, 2);
  assert.match(byHand.lines[1]!, /^Install a Vulkan driver /);
  assert.equal(byHand.code, slow ? 0 : 1);
});

Deno.test("setup for the tests does nothing and says nothing where their programs are there", async () => {
  const there = { "redis-server": "", openssl: "", chromium: "" };
  assert.deepEqual(await setup(there, {}, "setup:test"), { code: 0, lines: [""] });
});

Deno.test("setup for the tests installs what is missing of their programs", async () => {
  const script = { "apt-get": `echo "apt-get got: $*"`, sudo: SUDO, openssl: "", chromium: "" };
  const { code, lines } = await setup(script, {}, "setup:test");
  const install = "install -y --no-install-recommends redis-server";
  assert.deepEqual(lines.map((line) => line.replace("$ sudo ", "$ ")), [
    "Installing redis-server, which the tests start.",
    "$ apt-get update",
    "apt-get got: update",
    `$ apt-get ${install}`,
    `apt-get got: ${install}`,
  ]);
  assert.equal(code, 0);
});
