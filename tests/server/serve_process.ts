/** `mdm serve` and `mdm worker` as processes, which can be killed. */
import { fileURLToPath } from "node:url";

const MAIN = fileURLToPath(new URL("../../src/cli/main.ts", import.meta.url));

const PERMISSIONS = [
  "--no-prompt",
  "--ignore-env",
  "--allow-read",
  "--allow-write",
  "--allow-net=127.0.0.1",
  "--allow-env=XDG_RUNTIME_DIR,LP_NATIVE_VECTOR_WIDTH,MDM_DEBUG,MDM_TOKEN,MDM_WEBHOOK_SECRET,LOG_TOKENS,LOG_STREAM",
];

/** A process of mdm that goes on until it is stopped. */
export class ServeProcess implements AsyncDisposable {
  /** What it said on stderr. */
  said = "";
  #output = "";
  #listeners: (() => void)[] = [];
  readonly #reading: Promise<unknown>;

  private constructor(private readonly child: Deno.ChildProcess) {
    this.#reading = Promise.all([
      this.#read(child.stderr, (text) => this.said += text),
      this.#read(child.stdout, (text) => this.#output += text),
    ]);
  }

  static start(...args: string[]): ServeProcess {
    return ServeProcess.startWith({}, ...args);
  }

  /** Starts it with more variables in its environment. */
  static startWith(env: Record<string, string>, ...args: string[]): ServeProcess {
    const command = new Deno.Command(Deno.execPath(), {
      args: ["run", ...PERMISSIONS, MAIN, ...args],
      env,
      stdin: "null",
      stdout: "piped",
      stderr: "piped",
    });
    return new ServeProcess(command.spawn());
  }

  get pid(): number {
    return this.child.pid;
  }

  /** Its address, once it listens. */
  async url(): Promise<string> {
    return await this.#until(() => /^http\S+/m.exec(this.#output)?.[0]);
  }

  /** Waits until it can make pictures. */
  async ready(): Promise<void> {
    await this.saying("Ready");
  }

  /** Waits until it has said something on stderr. */
  async saying(text: string): Promise<void> {
    await this.#until(() => this.said.includes(text) || undefined);
  }

  /** Ends it, and waits for its end. */
  async stop(signal: Deno.Signal = "SIGTERM"): Promise<Deno.CommandStatus> {
    try {
      this.child.kill(signal);
    } catch { /* It has ended. */ }
    const status = await this.child.status;
    await this.#reading;
    return status;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop("SIGKILL");
  }

  async #read(stream: ReadableStream<Uint8Array<ArrayBuffer>>, add: (text: string) => void) {
    for await (const text of stream.pipeThrough(new TextDecoderStream())) {
      add(text);
      for (const wake of this.#listeners.splice(0)) wake();
    }
    for (const wake of this.#listeners.splice(0)) wake();
  }

  async #until<T>(look: () => T | undefined): Promise<T> {
    let ended = false;
    void this.#reading.then(() => ended = true);
    while (true) {
      const found = look();
      if (found !== undefined) return found;
      if (ended) throw new Error(`The process has ended: ${this.said}`);
      await Promise.race([new Promise<void>((r) => this.#listeners.push(r)), this.#reading]);
    }
  }
}
