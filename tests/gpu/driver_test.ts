import assert from "../assert.ts";
import { succeed } from "../cli/mdm.ts";

const NESTED2 = "tests/fixtures/golden/nested2";

// What a person has set stays, so that each of the driver's widths can be had: subgroups of 4, 8 and 16 lanes.
for (const bits of [128, 256, 512]) {
  Deno.test(`the model agrees with the reference where the software driver has ${bits} bits`, async () => {
    const env = { LP_NATIVE_VECTOR_WIDTH: String(bits) };
    const { software, subgroupSize } = JSON.parse(await succeed(["doctor", "--json"], { env }));
    if (software && subgroupSize > 0) assert.equal(subgroupSize, bits / 32);
    const tolerance = ["--tolerance", "1e-5"];
    const verified = JSON.parse(
      await succeed(["verify", NESTED2, "--json", ...tolerance], { env }),
    );
    assert.equal(verified.passed, true);
  });
}
