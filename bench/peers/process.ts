import { MdmError } from "../../src/errors.ts";
import { TextLineStream } from "./lines.ts";
import type { Answer, Request } from "./protocol.ts";

/** What a peer last said on stderr is told with its failure, up to this many characters. */
const COMPLAINT = 300;

/** A peer in a process of its own: what goes wrong in it, or how much memory it takes, is nobody else's matter. */
export class PeerProcess implements AsyncDisposable {
  readonly #process: Deno.ChildProcess;
  readonly #requests: WritableStreamDefaultWriter<Uint8Array>;
  readonly #answers: ReadableStreamDefaultReader<string>;
  readonly #listening: Promise<void>;
  #complaint = "";

  constructor([program, ...args]: readonly [string, ...string[]]) {
    this.#process = new Deno.Command(program, {
      args,
      env: { NO_COLOR: "1" },
      stdin: "piped",
      stdout: "piped",
      stderr: "piped",
    }).spawn();
    this.#requests = this.#process.stdin.getWriter();
    this.#answers = this.#process.stdout
      .pipeThrough(new TextDecoderStream())
      .pipeThrough(new TextLineStream())
      .getReader();
    this.#listening = this.#listen();
  }

  /** Loads a case; gives the peer's version. */
  async open(folder: string, patience: number): Promise<string> {
    const answer = await this.#ask({ command: "open", folder }, patience);
    return (answer as { version: string }).version;
  }

  /** Computes the case so many times; gives the milliseconds that it all took. */
  async run(times: number, patience: number): Promise<number> {
    return (await this.#ask({ command: "run", times }, patience) as { ms: number }).ms;
  }

  /** Writes what the last run computed. */
  async write(path: string, patience: number): Promise<void> {
    await this.#ask({ command: "write", path }, patience);
  }

  /**
   * @param patience Seconds after which an answer is not waited for any more.
   * @throws {MdmError} When the peer fails, dies or says nothing.
   */
  async #ask(request: Request, patience: number): Promise<Exclude<Answer, { error: string }>> {
    const { promise: tired, reject } = Promise.withResolvers<never>();
    const timer = setTimeout(
      () => reject(new MdmError(`no answer in ${patience} s`)),
      patience * 1000,
    );
    try {
      await this.#requests.write(new TextEncoder().encode(`${JSON.stringify(request)}\n`));
      const { value } = await Promise.race([this.#answers.read(), tired]);
      if (value === undefined) throw new MdmError(`its process died: ${await this.#lastWords()}`);
      const answer = parsed(value);
      if ("error" in answer) throw new MdmError(answer.error);
      return answer;
    } catch (error) {
      if (error instanceof MdmError) throw error;
      throw new MdmError(`its process is gone: ${await this.#lastWords()}`);
    } finally {
      clearTimeout(timer);
    }
  }

  /** What it complained about before it ended. */
  async #lastWords(): Promise<string> {
    await this.#listening;
    return this.#complaint.replace(/\s+/g, " ").trim() || "it said nothing";
  }

  async #listen(): Promise<void> {
    for await (const text of this.#process.stderr.pipeThrough(new TextDecoderStream())) {
      this.#complaint = (this.#complaint + text).slice(-COMPLAINT);
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    try {
      this.#process.kill("SIGKILL");
    } catch { /* It has ended already. */ }
    await this.#answers.cancel();
    await this.#requests.abort().catch(() => {});
    await this.#process.status;
    await this.#listening;
  }
}

function parsed(line: string): Answer {
  try {
    return JSON.parse(line);
  } catch {
    throw new MdmError(`it says "${line.slice(0, COMPLAINT)}" where an answer is due`);
  }
}
