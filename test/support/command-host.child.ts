/**
 * Runs commands that end by themselves, one after another, in one process: what most of them cost is their start. Reads
 * `{ script, args, env }` from its parent, and responds with `{ code, stdout, stderr }`.
 */
import { pathToFileURL } from "node:url";

interface Request {
  /** Module that exports `main(args)`. */
  script: string;
  args: string[];
  env: Record<string, string | undefined>;
}

// Every command adds its listeners, and signal handlers.
for (const emitter of [process, process.stdout, process.stderr]) emitter.setMaxListeners(0);

const ambient = { ...process.env };
const responses: Promise<void>[] = [Promise.resolve()];

process.on("message", (request: Request) => {
  responses.push((responses.at(-1) ?? Promise.resolve()).then(() => respond(request)));
});

async function respond({ script, args, env }: Request): Promise<void> {
  for (const name of Object.keys(process.env)) delete process.env[name];
  for (const [name, value] of Object.entries({ ...ambient, ...env })) {
    if (value !== undefined) process.env[name] = value;
  }
  process.exitCode = 0;
  const stdout = capture(process.stdout);
  const stderr = capture(process.stderr);
  let failure: string | undefined;
  try {
    const command = (await import(pathToFileURL(script).href)) as { main(args: string[]): Promise<void> };
    await command.main(args);
  } catch (error) {
    failure = error instanceof Error ? (error.stack ?? error.message) : String(error);
  }
  const response = { code: process.exitCode, stdout: stdout(), stderr: stderr(), failure };
  process.exitCode = 0;
  process.send?.(response);
}

/** Keeps what is written instead of writing it, until the returned function is called, which returns it. */
function capture(stream: NodeJS.WriteStream): () => string {
  const write = stream.write.bind(stream);
  let text = "";
  stream.write = (chunk: string | Uint8Array) => {
    text += typeof chunk === "string" ? chunk : Buffer.from(chunk).toString();
    return true;
  };
  return () => {
    stream.write = write;
    return text.replace(/\n$/, "");
  };
}
