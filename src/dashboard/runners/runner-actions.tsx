/** What an operator does to a runner: a ping, and a kick after a confirmation. */
import type { JSX } from "preact";
import { useState } from "preact/hooks";
import { unreachable } from "../api/api-error.ts";
import { call } from "../api/client.ts";
import type { Runner } from "../api/types.ts";
import { Button } from "../parts/button.tsx";
import { Confirm } from "../parts/dialog.tsx";
import { isAdmin } from "../state/sign-in.ts";
import { report } from "../state/toasts.ts";
import { ms, plural } from "../text/format.ts";
import { streamsOf } from "./arrange.ts";

export function RunnerActions({ runner }: { runner: Runner }): JSX.Element {
  const { id, state, connections, behind } = runner;
  const [isPinging, setPinging] = useState(false);
  const [isKicking, setKicking] = useState(false);
  const isConnected = state === "connected";
  const ping = (): void => {
    setPinging(true);
    call("get", "/api/v1/runners/{id}/ping", { path: { id } })
      .then(
        ({ rttMs }) => report("ok", `${id}: ${ms(rttMs)} to its agent and back`),
        (error: unknown) => report("bad", `Ping of ${id}: ${unreachable(error).message}`),
      )
      .finally(() => setPinging(false));
  };
  const kick = async (): Promise<void> => {
    await call("delete", "/api/v1/runners/{id}", { path: { id } });
    report("ok", `${id}: its connections drain; its agent connects again`);
  };
  return (
    <div class="actions">
      <Button busy={isPinging} disabled={!isConnected} onPress={ping}>
        Ping
      </Button>
      {isAdmin.value && (
        <Button disabled={!isConnected} onPress={() => setKicking(true)}>
          Kick…
        </Button>
      )}
      {isKicking && (
        <Confirm title={`Kick ${id}?`} action="Kick" onClose={() => setKicking(false)} onConfirm={kick}>
          <p>
            {plural(connections.length + behind.length, "connection")} with{" "}
            {plural(streamsOf(runner), "open stream")} drain and close. The agent connects again by itself
            within seconds; requests wait for it.
          </p>
        </Confirm>
      )}
    </div>
  );
}
