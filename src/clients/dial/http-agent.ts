/** node's http.Agent over dialled streams, for libraries that take one: dockerode, older HTTP clients. */
import http from "node:http";
import type { Duplex } from "node:stream";
import { toError } from "../../wire/errors.ts";
import { Guard } from "../../wire/streams/guard.ts";
import type { Dial } from "../../wire/streams/dial.ts";

/** Every request goes to this target, whatever its host. */
export function createHttpAgent(
  dial: Dial,
  runner: string,
  target: string,
  options: http.AgentOptions = {},
): http.Agent {
  return new DialledAgent(dial, runner, target, options);
}

class DialledAgent extends http.Agent {
  readonly #dial: () => Promise<Duplex>;

  constructor(dial: Dial, runner: string, target: string, options: http.AgentOptions) {
    super(options);
    const open = (): Promise<Duplex> => dial(runner, target);
    this.#dial = open;
  }

  override createConnection(
    _options: http.ClientRequestArgs,
    callback?: (error: Error | null, stream: Duplex) => void,
  ): undefined {
    this.#dial().then(
      (stream) => {
        new Guard((error) => stream.destroy(error)).run(() => callback?.(null, stream));
      },
      (error: unknown) => callback?.(toError(error), undefined as unknown as Duplex),
    );
  }
}
