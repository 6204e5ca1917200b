/**
 * The assertions of all tests: Node's, since JSR, which has `@std/assert`, could not be reached. Its functions have other names
 * (`assertEquals` for `deepEqual`): to use them, give them these names here.
 */
export { default } from "node:assert/strict";
