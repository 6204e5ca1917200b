import type { Case } from "../cases/case.ts";

/** Who may be measured, in the order of the report; ours is what the others are compared with. */
export const PEER_NAMES = ["mdm", "ort-web", "tfjs", "ort-node", "torch"] as const;

/** The name of a peer. */
export type PeerName = (typeof PEER_NAMES)[number];

/** How a peer is run. */
export interface Peer {
  readonly name: PeerName;
  /** What the report calls it. */
  readonly title: string;
  /** Whether it computes on the WebGPU adapter; else on the processor. */
  readonly onAdapter: boolean;
  /** What is started. */
  readonly command: readonly [string, ...string[]];
  /** Whether it can compute a case. */
  takes(given: Case): boolean;
}

/** What is known about the machine's other programs. */
export interface PeerOptions {
  /** The adapter that all have to compute on, as its driver names it. */
  readonly adapter: string;
  /** Threads of peers on the processor. */
  readonly threads: number;
  /** The Python that has PyTorch; null where none has. */
  readonly python: string | null;
  /** The folder of the reference implementation's package; null where it is not given. */
  readonly reference: string | null;
}

/** Every peer that there is. */
export function allPeers({ adapter, threads, python, reference }: PeerOptions): Peer[] {
  const always = () => true;
  const peers: Peer[] = [
    {
      name: "mdm",
      title: "mdm",
      onAdapter: true,
      command: script("mdm.ts"),
      takes: always,
    },
    {
      name: "ort-web",
      title: "onnxruntime-web",
      onAdapter: true,
      command: script("ort_web.ts", adapter),
      takes: always,
    },
    {
      name: "tfjs",
      title: "tfjs-webgpu",
      onAdapter: true,
      command: script("tfjs.ts", adapter),
      takes: ({ group }) => group === "convolution" || group === "linear",
    },
    {
      name: "ort-node",
      title: "onnxruntime-node",
      onAdapter: false,
      command: script("ort_node.ts", String(threads)),
      takes: always,
    },
  ];
  if (python !== null) {
    const file = new URL("torch_peer.py", import.meta.url).pathname;
    peers.push({
      name: "torch",
      title: "PyTorch",
      onAdapter: false,
      command: [python, file, String(threads), ...reference === null ? [] : [reference]],
      takes: (given) => given.reference === null || reference !== null,
    });
  }
  return peers;
}

/** A script of this folder, run with the bench's own dependencies. */
export function script(name: string, ...args: readonly string[]): [string, ...string[]] {
  const config = new URL("../deno.json", import.meta.url).pathname;
  const file = new URL(name, import.meta.url).pathname;
  const options = ["--quiet", "--allow-all", "--frozen", `--config=${config}`];
  return [Deno.execPath(), "run", ...options, file, ...args];
}

/** Whether there is such a Python, and PyTorch in it. */
export async function hasTorch(python: string): Promise<boolean> {
  try {
    const output = { stdout: "null", stderr: "null" } as const;
    const args = ["-c", "import torch"];
    return (await new Deno.Command(python, { args, ...output }).output()).success;
  } catch {
    return false;
  }
}
