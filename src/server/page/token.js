// @ts-check
/// <reference lib="dom" />
/** The token of the server, where it asks for one: kept until the browser's tab is closed. */
import { element } from "./element.js";
import { keep, recall } from "./storage.js";

const KEY = "mdm.token";

/** @type {Promise<void> | null} */
let asking = null;

/** @returns {Record<string, string>} Headers of a request. */
export function authorization() {
  const token = recall("sessionStorage", KEY);
  return token === null ? {} : { Authorization: `Bearer ${token}` };
}

/**
 * Asks for the token; requests that are refused meanwhile wait for the same answer.
 *
 * @param {string | undefined} refused The header that was refused.
 * @returns {Promise<void>} Is rejected when the person gives none.
 */
export async function askForToken(refused) {
  // Another request may have been answered with the new token since this one was sent.
  if (refused !== authorization().Authorization) return;
  asking ??= ask(refused !== undefined).finally(() => asking = null);
  await asking;
}

/**
 * @param {boolean} wrong
 * @returns {Promise<void>}
 */
function ask(wrong) {
  const dialog = element("token", HTMLDialogElement);
  const input = element("token-value", HTMLInputElement);
  element("token-error").textContent = wrong ? "That token is not the right one." : "";
  element("token-cancel").onclick = () => dialog.close();
  input.value = "";
  dialog.returnValue = "";
  dialog.showModal();
  return new Promise((resolve, reject) => {
    dialog.addEventListener("close", () => {
      if (dialog.returnValue !== "use") return reject(new Error("The server asks for a token."));
      keep("sessionStorage", KEY, input.value.trim());
      resolve();
    }, { once: true });
  });
}
