/**
 * Makes sure that there is a WebGPU adapter, before the command or the tests need one.
 *
 * Where one computes this says nothing. Else, where apt-get may be run, it installs the Vulkan
 * loader and Mesa's software driver; elsewhere it says what to run.
 */

const UPDATE = "apt-get update";
const INSTALL = "apt-get install -y --no-install-recommends mesa-vulkan-drivers libvulkan1";

async function setup(): Promise<void> {
  if (await probe()) return;
  if (!await succeeds("apt-get", "--version")) {
    return fail(
      "No WebGPU adapter was found. Install a Vulkan driver and the Vulkan loader with your " +
        'system\'s packages, for example "dnf install mesa-vulkan-drivers vulkan-loader".',
    );
  }
  const sudo = Deno.uid() === 0 ? "" : "sudo ";
  const byHand = `${sudo}${UPDATE} && ${sudo}${INSTALL}`;
  if (sudo && !await succeeds("sudo", "-n", "true")) {
    return fail(`No WebGPU adapter was found. Run this once: ${byHand}`);
  }
  console.error(
    "No WebGPU adapter was found: installing the Vulkan loader and Mesa's software driver.",
  );
  // A package source that does not answer fails the update, and yet the packages may be had.
  await show(sudo + UPDATE);
  if (!await show(sudo + INSTALL)) {
    return fail(`The installation failed. Mend what it says above, then run: ${byHand}`);
  }
  if (!await probe()) {
    return fail(
      "The Vulkan loader and Mesa's software driver are installed, and still no WebGPU adapter " +
        'works. Run "deno task mdm doctor".',
    );
  }
  console.error("A WebGPU adapter works now.");
}

/** In a worker, whose WebGPU starts anew: what was installed since the last time is seen. */
function probe(): Promise<boolean> {
  const worker = new Worker(import.meta.resolve("./probe.ts"), { type: "module" });
  return new Promise<boolean>((resolve) => {
    worker.onmessage = ({ data }) => resolve(data);
    worker.onerror = (event) => {
      event.preventDefault();
      resolve(false);
    };
  }).finally(() => worker.terminate());
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
