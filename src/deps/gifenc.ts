/** Loaded when a GIF is first written. */
export { default } from "npm:gifenc@1.0.3";
