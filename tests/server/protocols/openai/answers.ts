/** Answers to clients of OpenAI's API without what differs from run to run: ids, times, and what pictures hold. */

// deno-lint-ignore no-explicit-any
type Json = any;

/** What an answer says. Of pictures and addresses it says what they are. */
export interface Said {
  readonly status: number;
  readonly type: string;
  /** Of events: each of them. Of files: nothing. */
  readonly body?: Json;
}

/** What an answer says; `id` is that of the job that was asked for. */
export async function saidBy(response: Response, id = ""): Promise<Said> {
  const type = response.headers.get("Content-Type") ?? "";
  const about = { status: response.status, type };
  if (type.startsWith("application/json")) {
    return { ...about, body: plainly(await response.json(), id) };
  }
  if (type !== "text/event-stream") {
    await response.body?.cancel();
    return about;
  }
  const events = (await response.text()).matchAll(/^data: (.*)$/gm);
  return { ...about, body: [...events].map(([, data]) => plainly(JSON.parse(data!), id)) };
}

function plainly(value: Json, id: string): Json {
  if (Array.isArray(value)) return value.map((inner) => plainly(inner, id));
  if (value === null || typeof value !== "object") return value;
  return Object.fromEntries(
    Object.entries(value).map(([name, inner]) => [name, fieldOf(name, inner, id)]),
  );
}

function fieldOf(name: string, value: Json, id: string): Json {
  if (/^created(_at)?$|^completed_at$/.test(name)) return value === null ? null : typeof value;
  if (/^(first_|last_)?id$/.test(name) && value === id) return "{id}";
  if (name === "id" && /^job-\d+$|^[\da-f-]{36}$/.test(value)) return "{new}";
  if (name === "b64_json") return PICTURE.test(value) ? "picture" : value;
  if (name === "url") return ADDRESS.test(value) ? "address" : value;
  return plainly(value, id);
}

/** PNG, JPEG and WebP in base64. */
const PICTURE = /^(iVBO|\/9j\/|UklG)[\w+/]+=*$/;

const ADDRESS =
  /^http:\/\/[\w.]+:?\d*\/jobs\/[\w-]+\/files\/\d+\.\w+\?until=\d+&signature=[\w-]{43}$/;
