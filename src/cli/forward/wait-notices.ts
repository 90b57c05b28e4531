/** Lines on standard error about what a command waits for: a dial waits in silence for a runner that is not connected. */
import { ApiClient } from "../../clients/api/api-client.ts";
import type { TunnelSocket } from "../../wire/streams/tunnel-socket.ts";
import type { RemoteAccess } from "../remote/access.ts";
import { absenceOf } from "./check-target.ts";
import { WAIT_NOTICE_MS } from "./limits.ts";

export class WaitNotices {
  readonly #access: RemoteAccess;
  /** Runners that are waited for, and were named. */
  readonly #named = new Set<string>();

  constructor(access: RemoteAccess) {
    this.#access = access;
  }

  /** Of a dial, until its target has accepted or it has failed. @param until what ends the wait */
  watchDial(socket: TunnelSocket, runner: string, until: string): void {
    const settled = new AbortController();
    const settle = (): void => settled.abort();
    socket.onAccepted = settle;
    socket.once("close", settle);
    this.watch(runner, until, settled.signal);
  }

  /** One line, where the runner is not connected a little later, and `settled` is not aborted. */
  watch(runner: string, until: string, settled: AbortSignal): void {
    if (settled.aborted) return;
    const timer = setTimeout(() => void this.#look(runner, until, settled), WAIT_NOTICE_MS);
    timer.unref();
    settled.addEventListener("abort", () => clearTimeout(timer), { once: true });
  }

  async #look(runner: string, until: string, settled: AbortSignal): Promise<void> {
    if (this.#named.has(runner)) return;
    this.#named.add(runner);
    settled.addEventListener("abort", () => this.#named.delete(runner), { once: true });
    try {
      await using client = new ApiClient(this.#access);
      const options = { signal: settled };
      const found = await client.call("get", "/api/v1/runners/{id}", { path: { id: runner } }, options);
      const absence = absenceOf(found);
      if (absence !== undefined && !settled.aborted) process.stderr.write(`${absence}; waiting ${until}\n`);
    } catch {
      // The dial itself says what is wrong.
    }
  }
}
