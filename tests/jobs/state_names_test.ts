import assert from "../assert.ts";
import { imageOfState, stateName } from "../../src/jobs/state_names.ts";

Deno.test("the names of saved states say of which image they are", () => {
  assert.equal(stateName(1), "checkpoint-1.safetensors"); // Queues and stores hold such names.
  for (const image of [0, 12]) assert.equal(imageOfState(stateName(image)), image);
  for (const name of ["", "0.png", "checkpoint-.safetensors", "checkpoint-0.safetensors.tmp"]) {
    assert.equal(imageOfState(name), null, name);
  }
});
