/** The adapter that the bench measures. */
const WANTED = Deno.args[0];

/**
 * Makes sure that a library has chosen the same adapter as we: a machine may have several.
 *
 * @throws {Error} When it has not.
 */
export function needSameAdapter({ adapterInfo: { description, device } }: GPUDevice): void {
  const name = description || device;
  if (name !== WANTED) throw new Error(`it computes on "${name}" and not on "${WANTED}"`);
}
