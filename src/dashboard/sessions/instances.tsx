/** Instances: whether they are online, their places, disks and GPUs. */
import type { JSX } from "preact";
import { call } from "../api/client.ts";
import type { WolfInstance } from "../api/types.ts";
import { Empty, Failed, Loading } from "../parts/notice.tsx";
import { Status } from "../parts/status.tsx";
import { toneOfState } from "../parts/tone.ts";
import type { Tone } from "../parts/tone.ts";
import { now } from "../state/clock.ts";
import { useLoaded } from "../state/loaded.ts";
import { hrefOf } from "../state/route.ts";
import { sessionChanges } from "../state/runners.ts";
import { ago, bytes, dateTime } from "../text/format.ts";

const REFRESH_MS = 10_000;
const LEVELS: Readonly<Record<WolfInstance["disk_alert_level"], Tone>> = {
  ok: "ok",
  warning: "warn",
  critical: "bad",
};

export function Instances(): JSX.Element {
  const { value, error, reload } = useLoaded(
    () => call("get", "/api/v1/wolf-instances", {}),
    sessionChanges.value,
    REFRESH_MS,
  );
  if (value === undefined)
    return error === undefined ? (
      <Loading what="instances" />
    ) : (
      <Failed what="The list of instances" error={error} onRetry={reload} />
    );
  const list = value.wolf_instances;
  if (list.length === 0)
    return (
      <Empty title="No instance has connected">
        <p>A Wolf instance appears when its agent registers the runner wolf-NAME.</p>
      </Empty>
    );
  return (
    <div class="scroll spaced" tabIndex={0} role="region" aria-label="Instances">
      <table>
        <thead>
          <tr>
            <th>Instance</th>
            <th>State</th>
            <th>Places</th>
            <th>Fullest disk</th>
            <th>GPUs</th>
            <th>Last report</th>
          </tr>
        </thead>
        <tbody>
          {list.map((instance) => (
            <Line key={instance.id} instance={instance} />
          ))}
        </tbody>
      </table>
    </div>
  );
}

function Line({ instance }: { instance: WolfInstance }): JSX.Element {
  const { name, status, runner, connected_sandboxes: used, max_sandboxes: places, gpus } = instance;
  const disk = instance.disk_usage.toSorted((one, other) => other.used_percent - one.used_percent)[0];
  return (
    <tr>
      <td>
        <a href={hrefOf("runners", [runner])}>{name}</a>
      </td>
      <td>
        <Status tone={toneOfState(status)} text={status} />
      </td>
      <td>
        <Meter
          value={used}
          max={places}
          text={`${used} of ${places}`}
          tone={used >= places ? "warn" : "ok"}
        />
      </td>
      <td>
        {disk === undefined ? (
          <span class="faint">not reported</span>
        ) : (
          <Meter
            value={disk.used_percent}
            max={100}
            text={`${disk.mount_point}: ${bytes(disk.avail_bytes)} free`}
            tone={LEVELS[instance.disk_alert_level]}
          />
        )}
      </td>
      <td>
        {gpus.length === 0 && <span class="faint">not reported</span>}
        {gpus.map(({ index, model_name: model, used_percent: used, alert_level: level }) => (
          <Meter
            key={index}
            value={used ?? 0}
            max={100}
            text={`${model ?? `GPU ${index}`}: ${used === null ? "not known" : `${Math.round(used)} % of its memory`}`}
            tone={LEVELS[level]}
          />
        ))}
      </td>
      <td title={dateTime(instance.last_heartbeat)}>{ago(instance.last_heartbeat, now.value)}</td>
    </tr>
  );
}

function Meter({
  value,
  max,
  text,
  tone,
}: {
  value: number;
  max: number;
  text: string;
  tone: Tone;
}): JSX.Element {
  const share = max === 0 ? 0 : Math.min(1, value / max);
  return (
    <div class="meter">
      <svg viewBox="0 0 100 6" preserveAspectRatio="none" aria-hidden="true">
        <rect class="rest" width="100" height="6" />
        <rect class={tone} width={share * 100} height="6" />
      </svg>
      <span>{text}</span>
    </div>
  );
}
