/** Loaded when a WebP is first written. */
export { default } from "npm:@jsquash/webp@1.5.0/encode.js";
