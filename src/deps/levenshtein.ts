export { distance } from "npm:fastest-levenshtein@1.0.16";
