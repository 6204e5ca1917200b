/** What runs mdm elsewhere (Dockerfile, compose.yaml, the manifests of docs/deploy.md) agrees with mdm. */

import assert from "./assert.ts";
import { join } from "node:path";
import { parse as parseYaml } from "../src/deps/yaml.ts";
import project from "../deno.json" with { type: "json" };
import { COMMAND as HEALTH } from "../src/cli/commands/health.ts";
import { type Command, parse } from "../src/cli/options/options.ts";
import { COMMAND as SERVE } from "../src/cli/commands/serve.ts";
import { COMMAND as WORKER } from "../src/cli/commands/worker.ts";
import { RUNPOD_VARIABLES } from "../src/server/protocols/runpod/platform.ts";

const ROOT = join(import.meta.dirname!, "..");
const read = (path: string) => Deno.readTextFileSync(join(ROOT, path));

/** Seconds that closing takes at most, after `--grace`. */
const CLOSING = 20;

/** The lines of a Dockerfile with that instruction, without it; continued lines are one. */
function instructions(name: string): string[] {
  const lines = read("Dockerfile").replace(/^#.*\n/gm, "").replace(/\\\n/g, "").split("\n");
  return lines.filter((line) => line.startsWith(`${name} `)).map((line) =>
    line.slice(name.length + 1).trim()
  );
}

/** The YAML documents within a text in Markdown. */
function manifests(markdown: string): { readonly kind?: string; readonly spec?: PodOwner }[] {
  const blocks = markdown.matchAll(/^```yaml\n(.*?)^```/gms).toArray();
  return blocks.flatMap(([, yaml]) => yaml!.split(/^---$/m).map((text) => parseYaml(text)));
}

interface PodOwner {
  readonly template: {
    readonly spec: {
      readonly terminationGracePeriodSeconds: number;
      readonly containers: readonly { readonly args: readonly string[] }[];
    };
  };
}

/** Parses a command line as mdm does, which throws where it has mistakes. */
function parsed([name, ...argv]: readonly string[]): Record<string, unknown> {
  const command = [SERVE, WORKER, HEALTH].find((command) => command.name === `mdm ${name}`);
  assert.ok(command !== undefined, `mdm ${name}`);
  return parse<Command>(command, argv).values;
}

Deno.test("the image is made of files that are sent to its builder, with Deno as it is tested", () => {
  const sent = read(".dockerignore").split("\n").filter((line) => line.startsWith("!"));
  const copied = instructions("COPY").flatMap((line) =>
    line.split(" ").filter((word) => !word.startsWith("--")).slice(0, -1)
  ).filter((path) => !path.startsWith("$"));
  assert.ok(copied.length > 0);
  for (const path of copied) {
    assert.ok(Deno.statSync(join(ROOT, path)), path);
    assert.ok(sent.includes(`!${path.split("/")[0]}`), path);
  }
  const [version] = /(?<=^npx -y deno@)[\d.]+/m.exec(read("README.md"))!;
  assert.deepEqual(instructions("FROM"), [`denoland/deno:debian-${version}`]);
  const [entry] = instructions("ENTRYPOINT").map((json) => JSON.parse(json));
  assert.deepEqual(entry, ["tini", "--", "mdm"]);
  const install = instructions("RUN").find((line) => line.includes("tools/install.ts"))!;
  const [folder, ...flags] = install.slice(install.indexOf(".ts ") + 4).split(" ");
  assert.ok(instructions("ENV").includes(`PATH=${folder}:$PATH`));
  assert.deepEqual(flags, ["--cached-only"]);
});

Deno.test("the image asks for its health in a way that there is", () => {
  const [check] = instructions("HEALTHCHECK");
  const [program, ...words] = JSON.parse(check!.slice(check!.indexOf("[")));
  assert.equal(program, "mdm");
  parsed(words);
});

Deno.test("commands of compose.yaml and of the manifests are right, and have the time to end", () => {
  const { services } = parseYaml(read("compose.yaml"), { merge: true });
  const commands = [services.front, services.worker, services["gpu-worker"]].map((service) => ({
    words: service.command as string[],
    seconds: Number(/^(\d+)s$/.exec(service.stop_grace_period)?.[1]),
  }));
  const deployments = manifests(read("docs/deploy.md")).filter(({ kind }) => kind === "Deployment");
  for (const { spec } of deployments) {
    const { containers, terminationGracePeriodSeconds: seconds } = spec!.template.spec;
    commands.push(...containers.map(({ args }) => ({ words: [...args], seconds })));
  }
  assert.equal(commands.length, 5);
  for (const { words, seconds } of commands) {
    const { grace, host } = parsed(words);
    assert.ok(seconds >= Number(grace) + CLOSING, words.join(" "));
    if (words[0] === "serve") assert.equal(host, "0.0.0.0");
  }
});

Deno.test("docs/deploy.md explains each variable, and has numbers that there are", () => {
  const text = read("docs/deploy.md");
  const allowed = /--allow-env=(\S+)/.exec(project.tasks.server.command)![1]!.split(",");
  for (const name of allowed) assert.ok(text.includes(`\`${name}\``), name);
  for (const name of RUNPOD_VARIABLES) assert.ok(allowed.includes(name), name);
  const metrics = read("src/server/http/metrics.ts");
  const named = new Set(text.match(/\bmdm_\w+/g));
  assert.ok(named.has("mdm_queue_depth"));
  for (const name of named) assert.ok(metrics.includes(`name: "${name}"`), name);
});
