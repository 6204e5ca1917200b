/**
 * For a machine where no WebGPU adapter works: where apt-get may be run, installs the Vulkan loader
 * and Mesa's software driver; elsewhere says what to run.
 */

const UPDATE = "apt-get update";
const INSTALL = "apt-get install -y --no-install-recommends mesa-vulkan-drivers libvulkan1";

async function setup(): Promise<void> {
  if (!await succeeds("apt-get", "--version")) {
    return fail(
      "Install a Vulkan driver and the Vulkan loader with your system's packages, for example " +
        '"dnf install mesa-vulkan-drivers vulkan-loader".',
    );
  }
  const sudo = Deno.uid() === 0 ? "" : "sudo ";
  const byHand = `${sudo}${UPDATE} && ${sudo}${INSTALL}`;
  if (sudo && !await succeeds("sudo", "-n", "true")) {
    return fail(`Install the Vulkan loader and Mesa's software driver: ${byHand}`);
  }
  console.error("Installing the Vulkan loader and Mesa's software driver.");
  // A package source that does not answer fails the update, and yet the packages may be had.
  await show(sudo + UPDATE);
  if (!await show(sudo + INSTALL)) {
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
