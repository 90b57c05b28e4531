/** Lines for a shell, for a target of the runner. */
import type { JSX } from "preact";
import { useState } from "preact/hooks";
import { SERVER } from "../api/client.ts";
import type { Target } from "../api/types.ts";
import { CopyLine } from "../parts/copy.tsx";
import { Select } from "../parts/field.tsx";
import { targetCommands } from "../text/commands.ts";

export function RunnerCommands({
  runner,
  targets,
}: {
  runner: string;
  targets: readonly Target[];
}): JSX.Element {
  const [chosen, setChosen] = useState<string>();
  const target = targets.find(({ name }) => name === chosen)?.name ?? targets[0]?.name ?? "";
  return (
    <>
      <div class="heading-line">
        <h2>From a shell</h2>
        {targets.length > 1 && (
          <Select
            label="Target"
            value={target}
            options={targets.map(({ name }) => [name, name] as const)}
            onChange={setChosen}
          />
        )}
      </div>
      <p class="faint">
        With the token in the variable <code>TURNABOUT_TOKEN</code>.
      </p>
      <dl class="commands">
        {targetCommands(SERVER, runner, target).map(({ label, line }) => (
          <div key={label}>
            <dt>{label}</dt>
            <dd>
              <CopyLine text={line} label={`Copy: ${label}`} />
            </dd>
          </div>
        ))}
      </dl>
    </>
  );
}
