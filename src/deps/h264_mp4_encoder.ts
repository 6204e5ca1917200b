/** Loaded when an MP4 is first written. */
export { default } from "npm:h264-mp4-encoder@1.0.12";
