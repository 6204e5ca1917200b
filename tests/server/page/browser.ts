/** A headless Chromium, which Debian has as a package. */
import type { Browser } from "playwright-core";

/** Where distributions put it. */
const PATHS = ["/usr/bin/chromium", "/usr/bin/chromium-browser", "/usr/bin/google-chrome"];

/**
 * Starts Chromium.
 *
 * @throws {Error} Where it is not installed.
 */
export async function startChromium(): Promise<Browser> {
  const executablePath = PATHS.find(isThere);
  if (executablePath === undefined) {
    throw new Error("Chromium is not installed: run apt-get install -y chromium");
  }
  // When it is loaded, playwright-core looks below /proc for Windows around this system, unless its own tests run; Deno would want
  // all permissions for that.
  Deno.env.set("__IS_WSL_TEST__", "1");
  const { chromium } = await import("playwright-core");
  // Its sandbox does not work for root, and in most containers; the only pages that it opens here are ours.
  return await chromium.launch({ executablePath, chromiumSandbox: false, env: {} });
}

function isThere(path: string): boolean {
  try {
    return Deno.statSync(path).isFile;
  } catch {
    return false;
  }
}
