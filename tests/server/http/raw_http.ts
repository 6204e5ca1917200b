/** HTTP byte by byte, for requests that no client would send. */

/** What came back; status 0: nothing that is HTTP. */
export interface RawAnswer {
  readonly status: number;
  readonly head: string;
  readonly body: Uint8Array<ArrayBuffer>;
}

/** Sends bytes (one a character) over a connection of its own, and reads until it is closed or `ms` are over. */
export async function rawRequest(url: string, text: string, ms = 5000): Promise<RawAnswer> {
  const { hostname, port } = new URL(url);
  const connection = await Deno.connect({ hostname, port: Number(port) });
  const timer = setTimeout(() => close(connection), ms);
  const chunks: Uint8Array[] = [];
  try {
    await connection.write(bytesOf(text));
    const buffer = new Uint8Array(1 << 14);
    for (let n = await connection.read(buffer); n !== null; n = await connection.read(buffer)) {
      chunks.push(buffer.slice(0, n));
      if (isWhole(chunks)) break;
    }
  } catch { /* Closed by either side. */ }
  clearTimeout(timer);
  close(connection);
  return parse(joined(chunks));
}

/** The bytes of text whose characters are bytes. */
export function bytesOf(text: string): Uint8Array<ArrayBuffer> {
  return Uint8Array.from(text, (character) => character.charCodeAt(0));
}

function close(connection: Deno.Conn): void {
  try {
    connection.close();
  } catch { /* It is. */ }
}

function joined(chunks: readonly Uint8Array[]): Uint8Array<ArrayBuffer> {
  return new Uint8Array(chunks.flatMap((chunk) => [...chunk]));
}

/** Whether all that Content-Length says has come. */
function isWhole(chunks: readonly Uint8Array[]): boolean {
  const { head, body } = parse(joined(chunks));
  const [, length] = /^content-length: (\d+)/im.exec(head) ?? [];
  return length !== undefined && body.length >= Number(length);
}

function parse(bytes: Uint8Array<ArrayBuffer>): RawAnswer {
  const text = new TextDecoder("latin1").decode(bytes);
  const end = text.indexOf("\r\n\r\n");
  const head = end < 0 ? "" : text.slice(0, end);
  const [, status] = /^HTTP\/1\.[01] (\d{3})/.exec(head) ?? [];
  return { status: Number(status ?? 0), head, body: bytes.slice(end < 0 ? bytes.length : end + 4) };
}
