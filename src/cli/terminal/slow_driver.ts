import { isSoftwareOpenGl, SOFTWARE_OPENGL } from "../../gpu/backend.ts";
import type { GpuInfo } from "../../gpu/device.ts";
import { warn } from "./output.ts";

/** Says what to do if images are made far slower than this machine can make them. */
export function warnIfSlow(info: GpuInfo): void {
  if (isSoftwareOpenGl(info)) warn(SOFTWARE_OPENGL);
}
