/// <reference lib="dom" />
/** What axe finds on the page in each state that people see it in. */
import assert from "../../assert.ts";
import axe from "axe-core";
import type { Page } from "playwright-core";
import { refuse } from "./stand_in.ts";
import { ask, PROMPT, says, sees, visit, type VisitOptions } from "./visit.ts";

/** Nothing may be found, of all rules that axe has. */
async function check(page: Page, state: string): Promise<void> {
  await page.evaluate(axe.source);
  const violations = await page.evaluate(async () => {
    const { axe } = globalThis as unknown as { axe: typeof import("axe-core") };
    const { violations } = await axe.run({ resultTypes: ["violations"] });
    return violations.map(({ id, nodes }) => ({ id, nodes: nodes.map(({ html }) => html) }));
  });
  assert.deepEqual(violations, [], state);
}

const SCREENS = {
  "a wide light screen": { colorScheme: "light" },
  "a narrow dark screen": {
    colorScheme: "dark",
    viewport: { width: 320, height: 640 },
    hasTouch: true,
    isMobile: true,
  },
} as const satisfies Record<string, VisitOptions["screen"]>;

for (const [name, screen] of Object.entries(SCREENS)) {
  Deno.test(`axe finds nothing on ${name}, whatever state the page is in`, () =>
    visit(async (visit) => {
      const { page, server } = visit;
      await says(page.locator("#model"), "stand-in");
      await check(page, "empty");

      server.reason = "the weights are being read";
      await page.reload();
      await says(page.locator("#readiness"), "Not ready yet");
      await check(page, "not ready");
      server.reason = null;
      await page.locator("#readiness:empty").waitFor({ state: "attached" });

      await page.locator("summary").click();
      await check(page, "settings");
      await page.locator("#steps").fill("1001");
      await page.getByRole("button", { name: "Make" }).click();
      await says(page.locator("#prompt-error"), "Type what");
      await says(page.locator("#steps-error"), "1000");
      await check(page, "wrong fields");
      await page.locator("#steps").fill("");
      await page.locator("#prompt").fill(PROMPT);
      server.refusal = refuse(429, "queue_full", "The queue is full: try again in 3 seconds.");
      await page.locator("#prompt").press("Enter");
      await says(page.locator("#form-error"), "The queue is full");
      await check(page, "refused");

      await page.locator("#n").fill("2");
      await page.locator("#levels").check();
      await ask(visit);
      await says(page.locator("#progress-text"), "Waiting");
      await check(page, "waiting");
      server.step(4, 9000);
      await server.preview(2);
      await sees(page, 8);
      await check(page, "forming");
      await server.succeed();
      await page.locator(".tile.done").nth(1).waitFor();
      await page.locator(".past .thumb img").waitFor();
      await check(page, "done");
      await page.getByRole("button", { name: "Larger" }).first().click();
      await check(page, "one is larger");

      await ask(visit, "a star");
      server.step(4);
      await server.preview(2);
      await sees(page, 8);
      await page.keyboard.press("Escape");
      await says(page.locator("#progress-text"), "Canceled");
      await check(page, "canceled");
      await ask(visit, "a ring");
      server.fail("The GPU was lost too often.");
      await says(page.locator("#job-error"), "The GPU was lost");
      await check(page, "failed");
      await page.reload();
      await page.locator(".past").last().scrollIntoViewIfNeeded();
      await page.locator(".past .thumb img").waitFor();
      await check(page, "history");
    }, { screen, refusals: [429] }));

  Deno.test(`axe finds nothing on ${name} where the token is asked for`, () =>
    visit(async ({ page }) => {
      const dialog = page.getByRole("dialog");
      await dialog.waitFor();
      await check(page, "asked");
      await page.keyboard.type("wrong");
      await page.keyboard.press("Enter");
      await says(page.locator("#token-error"), "That token is not the right one.");
      await check(page, "asked again");
      await page.keyboard.press("Escape");
      await says(page.locator("#form-error"), "The server asks for a token.");
      await check(page, "not given");
    }, { screen, token: "secret", refusals: [401] }));

  Deno.test(`axe finds nothing on ${name} that shows a video`, () =>
    visit(async (visit) => {
      const { page, server } = visit;
      await ask(visit);
      server.step(1);
      await server.succeed();
      await page.locator(".tile.done video").waitFor();
      await page.locator(".past .thumb video").waitFor();
      await check(page, "video");
    }, { screen, makes: "videos" }));
}

Deno.test("pictures and videos say what they show: their prompt, and once", async () => {
  for (const makes of ["pictures", "videos"] as const) {
    await visit(async (visit) => {
      const { page, server } = visit;
      await ask(visit);
      server.step(4);
      await server.preview(2);
      await sees(page, 8);
      assert.equal(await page.locator(".frame img").last().getAttribute("alt"), PROMPT);
      await server.succeed();
      const medium = makes === "pictures" ? "img" : "video";
      const label = makes === "pictures" ? "alt" : "aria-label";
      await page.locator(`.tile.done ${medium}`).last().waitFor();
      for (const place of [".frame", ".past"]) {
        const shown = page.locator(`${place} ${medium}`).last();
        await shown.waitFor();
        assert.equal(await shown.getAttribute(label), PROMPT, `${makes} ${place}`);
      }
      const buttons = page.locator("#history").getByRole("button", { name: PROMPT });
      const names = await buttons.evaluateAll((all) => all.map(({ className }) => className));
      assert.deepEqual(names, ["show", "delete"]);
      assert.equal(
        await page.locator("#history").getByRole("button", { name: PROMPT, exact: true }).count(),
        1,
      );
    }, { makes });
  }
});
