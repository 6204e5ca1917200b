import assert from "../../assert.ts";
import { tryTheDoor } from "./door.ts";

Deno.test("one signed address opens one file, however a request is written", async () => {
  const tally = await tryTheDoor(3000);
  for (const status of [200, 400, 401]) assert.ok(tally[status]! > 50, JSON.stringify(tally));
});
