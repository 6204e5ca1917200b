import assert from "../assert.ts";
import { backendOf, isSoftwareOpenGl } from "../../src/gpu/backend.ts";

Deno.test("the interface is told by the system, and OpenGL by having no subgroups", () => {
  const of = (subgroupMinSize: number, subgroupMaxSize: number, os: typeof Deno.build.os) =>
    backendOf({ subgroupMinSize, subgroupMaxSize }, os);
  // Mesa's software driver, first by Vulkan, then by OpenGL; Intel's and AMD's by Vulkan.
  assert.equal(of(8, 8, "linux"), "Vulkan");
  assert.equal(of(4, 128, "linux"), "OpenGL");
  assert.equal(of(8, 32, "linux"), "Vulkan");
  assert.equal(of(32, 64, "linux"), "Vulkan");
  assert.equal(of(4, 64, "darwin"), "Metal");
  assert.equal(of(4, 128, "windows"), "Direct3D 12 or Vulkan");
});

Deno.test("only OpenGL in software is what a Vulkan driver would mend", () => {
  assert.ok(isSoftwareOpenGl({ backend: "OpenGL", deviceClass: "software" }));
  assert.ok(!isSoftwareOpenGl({ backend: "OpenGL", deviceClass: "gpu" }));
  assert.ok(!isSoftwareOpenGl({ backend: "Vulkan", deviceClass: "software" }));
});
