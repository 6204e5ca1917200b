/// <reference lib="dom" />
/** Visits to the page before a server that stands in: what tests of it have in common. */
import assert from "../../assert.ts";
import type { Browser, BrowserContextOptions, Locator, Page } from "playwright-core";
import { startChromium } from "./browser.ts";
import { PageStandIn, type StandInOptions } from "./stand_in.ts";

export const PROMPT = "a red circle on a blue background";

/** Milliseconds that anything on the page may take before a test fails. */
const PATIENCE = 10_000;

let browser: Browser | undefined;

Deno.test.beforeAll(async () => {
  browser = await startChromium();
});

Deno.test.afterAll(() => browser?.close());

export interface Visit {
  readonly page: Page;
  readonly server: PageStandIn;
}

export interface VisitOptions extends StandInOptions {
  readonly screen?: BrowserContextOptions;
  /** Runs in the page before its own scripts, each time that it is loaded. */
  readonly before?: string;
  /** Statuses that the test has the server refuse with, of which Chromium tells in the console. */
  readonly refusals?: readonly number[];
}

/** Opens the page; nothing on it may fail, and it may ask no other server. */
export async function visit(
  use: (visit: Visit) => Promise<void>,
  { screen, before, refusals = [], ...options }: VisitOptions = {},
): Promise<void> {
  await using server = new PageStandIn(options);
  const context = await browser!.newContext({ reducedMotion: "reduce", ...screen });
  try {
    if (before !== undefined) await context.addInitScript(before);
    const page = await context.newPage();
    page.setDefaultTimeout(PATIENCE);
    const wrong: string[] = [];
    page.on("pageerror", (error) => wrong.push(error.message));
    page.on("console", (message) => {
      const [, status] = /^Failed to load resource: .* status of (\d+)/.exec(message.text()) ?? [];
      if (message.type() === "error" && !refusals.includes(Number(status))) {
        wrong.push(`${message.text()} ${message.location().url}`);
      }
    });
    page.on("request", (request) => {
      const { protocol, origin } = new URL(request.url());
      if (protocol !== "blob:" && `${origin}/` !== server.url) wrong.push(request.url());
    });
    await page.goto(server.url);
    await use({ page, server });
    assert.deepEqual(wrong, []);
  } finally {
    await context.close();
  }
}

/** Types a prompt and waits until the job is followed. */
export async function ask({ page }: Visit, prompt = PROMPT): Promise<void> {
  const followed = page.waitForResponse((response) => response.url().endsWith("/events"));
  await page.locator("#prompt").fill(prompt);
  await page.locator("#prompt").press("Enter");
  await followed;
}

/** Waits until a text is as expected. */
export async function says(locator: Locator, expected: string | RegExp): Promise<void> {
  await locator.filter({ hasText: expected }).first().waitFor();
}

/** Waits until a picture of that size is seen, and tells whether its pixels are. */
export async function sees(page: Page, width: number): Promise<{ readonly crisp: boolean }> {
  await says(page.locator(".levels"), `${width} × ${width}`);
  return await page.locator(".frame img").last().evaluate((image, width) => {
    if (!(image instanceof HTMLImageElement) || image.naturalWidth !== width) {
      throw new Error(`It is not ${width} pixels wide.`);
    }
    return { crisp: getComputedStyle(image).imageRendering === "pixelated" };
  }, width);
}

/** What has the focus. */
export function focused(page: Page): Promise<string> {
  return page.evaluate(() => document.activeElement?.id ?? "");
}
