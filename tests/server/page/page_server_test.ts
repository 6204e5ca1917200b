/// <reference lib="dom" />
/** The page before a server as it is: what a person sees. */
import assert from "../../assert.ts";
import { startChromium } from "./browser.ts";
import { ServeProcess } from "../serve_process.ts";

Deno.test("on the page of a server a picture forms, and another one is canceled", async () => {
  const data = await Deno.makeTempDir();
  await using stack = new AsyncDisposableStack();
  stack.defer(() => Deno.remove(data, { recursive: true }));
  const server = stack.use(ServeProcess.start("serve", "--port", "0", "--data", data));
  const browser = stack.adopt(await startChromium(), (opened) => opened.close());
  const page = await browser.newPage();
  await page.goto(await server.url());

  /** Widths of the picture as it was seen, one after the other. */
  const seen = page.evaluate(() =>
    new Promise<number[]>((resolve) => {
      const widths: number[] = [];
      const look = () => {
        // The one before stays below while another fades in.
        const image = [...document.querySelectorAll<HTMLImageElement>(".frame img")].at(-1);
        const width = image?.complete ? image.naturalWidth : 0;
        if (width > 0 && widths.at(-1) !== width) widths.push(width);
        if (width === 32) resolve(widths);
        else requestAnimationFrame(look);
      };
      look();
    })
  );
  await page.locator("#prompt").fill("a red circle on a blue background");
  await page.locator("#prompt").press("Enter");
  assert.deepEqual(await seen, [16, 32]);

  await page.locator("summary").click();
  await page.locator("#steps").fill("1000");
  await page.locator("#prompt").press("Enter");
  const steps = page.locator("#progress-text").filter({ hasText: /Step \d+ of 1000/ });
  await steps.waitFor();
  await page.keyboard.press("Escape");
  await page.locator("#progress-text").filter({ hasText: /canceled/i }).waitFor();
  const { jobs } = await (await fetch(`${await server.url()}/jobs?limit=5`)).json();
  assert.deepEqual(
    jobs.map(({ state }: { state: string }) => state),
    ["canceled", "succeeded"],
  );
});
