/** By which of a system's interfaces an adapter computes: WebGPU does not say, and yet it can be told. */

/** An interface of the system, as people know it. */
export type Backend = "Metal" | "Direct3D 12 or Vulkan" | "Vulkan" | "OpenGL";

/** Subgroup sizes that are given where the interface has no subgroups: all that there can be. OpenGL has none. */
const ANY_SUBGROUP = { subgroupMinSize: 4, subgroupMaxSize: 128 };

/** The interface by which an adapter computes. */
export function backendOf(
  { subgroupMinSize, subgroupMaxSize }: Pick<
    GPUAdapterInfo,
    "subgroupMinSize" | "subgroupMaxSize"
  >,
  os: typeof Deno.build.os = Deno.build.os,
): Backend {
  if (os === "darwin") return "Metal";
  if (os === "windows") return "Direct3D 12 or Vulkan";
  const isAny = subgroupMinSize === ANY_SUBGROUP.subgroupMinSize &&
    subgroupMaxSize === ANY_SUBGROUP.subgroupMaxSize;
  return isAny ? "OpenGL" : "Vulkan";
}

/** Whether images are made far slower than this machine can make them, for lack of a Vulkan driver. */
export function isSoftwareOpenGl(
  { backend, deviceClass }: { readonly backend: Backend; readonly deviceClass: string },
): boolean {
  return backend === "OpenGL" && deviceClass === "software";
}

/** What is said of such a machine. */
export const SOFTWARE_OPENGL =
  `Only OpenGL in software was found, which is about 25 times slower than Vulkan in software. Install a Vulkan driver: "deno task setup" does it, or on Debian run "sudo apt-get install -y mesa-vulkan-drivers libvulkan1".`;
