/**
 * Installs what a machine lacks, where apt-get may be run; elsewhere says what to run. Without an argument: a driver, for a machine
 * where no WebGPU adapter works, or only OpenGL in software. With "tests": the programs that the tests start.
 */

interface Need {
  /** As part of a sentence. */
  readonly what: string;
  /** Debian's packages. */
  readonly packages: string;
  /** What to do where there is no apt-get. */
  readonly elsewhere: string;
}

const DRIVER: Need = {
  what: "the Vulkan loader and Mesa's software driver",
  packages: "mesa-vulkan-drivers libvulkan1",
  elsewhere: "Install a Vulkan driver and the Vulkan loader with your system's packages, " +
    'for example "dnf install mesa-vulkan-drivers vulkan-loader".',
};

/** The programs that tests start, each in the package of its name, and how to ask for its version. */
const PROGRAMS = { "redis-server": "--version", openssl: "version", chromium: "--version" };

const UPDATE = "apt-get update";

async function setup(): Promise<void> {
  if (Deno.args[0] !== "tests") return await install(DRIVER);
  const missing: string[] = [];
  for (const [program, version] of Object.entries(PROGRAMS)) {
    if (!await succeeds(program, version)) missing.push(program);
  }
  if (missing.length === 0) return;
  const what = missing.join(" and ");
  await install({
    what: `${what}, which the tests start`,
    packages: missing.join(" "),
    elsewhere: `Install ${what} with your system's packages: the tests start them.`,
  });
}

async function install({ what, packages, elsewhere }: Need): Promise<void> {
  const command = `apt-get install -y --no-install-recommends ${packages}`;
  if (!await succeeds("apt-get", "--version")) return fail(elsewhere);
  const sudo = Deno.uid() === 0 ? "" : "sudo ";
  const byHand = `${sudo}${UPDATE} && ${sudo}${command}`;
  if (sudo && !await succeeds("sudo", "-n", "true")) {
    return fail(`Install ${what}: ${byHand}`);
  }
  console.error(`Installing ${what}.`);
  // A package source that does not answer fails the update, and yet the packages may be had.
  await show(sudo + UPDATE);
  if (!await show(sudo + command)) {
    fail(`The installation failed. Mend what it says above, then run: ${byHand}`);
  }
}

/** Whether a command is there and succeeds, in silence. */
async function succeeds(name: string, ...args: string[]): Promise<boolean> {
  try {
    const options = { args, stdin: "null", stdout: "null", stderr: "null" } as const;
    return (await new Deno.Command(name, options).output()).success;
  } catch {
    return false; // It is not there.
  }
}

/** Runs a command, shows it and what it prints on stderr, and tells whether it succeeded. */
async function show(line: string): Promise<boolean> {
  console.error(`$ ${line}`);
  const [name, ...args] = line.split(" ");
  const child = new Deno.Command(name!, {
    args,
    env: { DEBIAN_FRONTEND: "noninteractive" },
    stdin: "null",
    stdout: "piped",
  }).spawn();
  await child.stdout.pipeTo(Deno.stderr.writable, { preventClose: true });
  return (await child.status).success;
}

function fail(sentence: string): void {
  console.error(sentence);
  Deno.exitCode = 1;
}

await setup();
