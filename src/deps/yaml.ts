export { parse, parseDocument, stringify } from "npm:yaml@2.9.0";
