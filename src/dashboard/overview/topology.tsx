/** The way of a request, drawn: callers, the control plane, agents, runners, targets. Where something flows, the line moves. */
import type { JSX } from "preact";
import { MAX_DRAWN_GROUPS } from "../limits.ts";
import { hrefOf } from "../state/route.ts";
import { runners } from "../state/runners.ts";
import { traffic } from "../state/traffic.ts";
import { plural } from "../text/format.ts";
import { BOX_HEIGHT, layoutOf } from "./topology-layout.ts";
import type { Box, Edge, Health } from "./topology-layout.ts";

const WIDTH = 1_120;
const COLUMNS = {
  callers: { x: 4, width: 116, title: "Callers" },
  plane: { x: 186, width: 140, title: "Control plane" },
  agents: { x: 392, width: 216, title: "Agents" },
  runners: { x: 674, width: 206, title: "Runners" },
  targets: { x: 936, width: 180, title: "Targets" },
} as const;
type Column = keyof typeof COLUMNS;
const CHAR_WIDTH = 7.6;

export function Topology(): JSX.Element {
  const list = runners.value ?? [];
  const layout = layoutOf(list, traffic.value, MAX_DRAWN_GROUPS);
  const { height, middle, agents, toAgents, toRunners, toTargets } = layout;
  const isFlowing = toAgents.some((edge) => edge.isFlowing);
  const connected = list.filter(({ state }) => state === "connected").length;
  return (
    <div class="topology scroll" tabIndex={0} role="region" aria-label="Topology">
      <svg
        viewBox={`0 0 ${WIDTH} ${height + 8}`}
        role="group"
        aria-label={`${plural(agents.length, "agent")} with ${plural(list.length, "runner")}, ${connected} connected`}
      >
        {Object.values(COLUMNS).map(({ x, title }) => (
          <text key={title} class="column-title" x={x} y={16}>
            {title}
          </text>
        ))}
        <g class="edges">
          <Line
            edge={{ key: "in", from: middle, to: middle, health: "ok", isFlowing, width: 1.5 }}
            from="callers"
            to="plane"
          />
          {toAgents.map((edge) => (
            <Line key={edge.key} edge={edge} from="plane" to="agents" />
          ))}
          {toRunners.map((edge) => (
            <Line key={edge.key} edge={edge} from="agents" to="runners" />
          ))}
          {toTargets.map((edge) => (
            <Line key={edge.key} edge={edge} from="runners" to="targets" />
          ))}
        </g>
        <Node
          column="callers"
          box={plain("callers", "Callers", isFlowing ? "requests flow" : "quiet", middle)}
        />
        <Node
          column="plane"
          box={plain("plane", "turnabout", `${connected} of ${plural(list.length, "runner")}`, middle)}
        />
        {(["agents", "runners", "targets"] as const).map((column) =>
          layout[column].map((box) => <Node key={`${column} ${box.key}`} column={column} box={box} />),
        )}
      </svg>
    </div>
  );
}

function plain(key: string, title: string, detail: string, y: number): Box {
  return { key, title, detail, y, health: "ok" };
}

function Line({ edge, from, to }: { edge: Edge; from: Column; to: Column }): JSX.Element {
  const start = COLUMNS[from].x + COLUMNS[from].width;
  const end = COLUMNS[to].x;
  const [y1, y2] = [edge.from + BOX_HEIGHT / 2, edge.to + BOX_HEIGHT / 2];
  const bend = (start + end) / 2;
  const path = `M${start} ${y1}C${bend} ${y1} ${bend} ${y2} ${end} ${y2}`;
  return (
    <>
      <path class={`edge ${edge.health}`} d={path} stroke-width={edge.width} />
      {edge.isFlowing && <path class="flow" d={path} stroke-width={edge.width + 0.5} />}
    </>
  );
}

const HEALTH_TEXT: Readonly<Record<Health, string>> = { ok: "", warn: ", needs attention", bad: ", down" };

function Node({ column, box }: { column: Column; box: Box }): JSX.Element {
  const { x, width } = COLUMNS[column];
  const { title, detail, y, health, runner } = box;
  const room = Math.floor((width - 30) / CHAR_WIDTH);
  const content = (
    <g class={`node ${health}`} style={{ transform: `translate(${x}px, ${y}px)` }}>
      <title>{`${title}: ${detail}${HEALTH_TEXT[health]}`}</title>
      <rect width={width} height={BOX_HEIGHT} rx={6} />
      <path class="side" d={`M2.5 8V${BOX_HEIGHT - 8}`} />
      <text class="node-title" x={14} y={18}>
        {cut(title, room)}
      </text>
      <text class="node-detail" x={14} y={33}>
        {cut(detail, room + 4)}
      </text>
    </g>
  );
  if (runner === undefined || column !== "runners") return content;
  return <a href={hrefOf("runners", [runner])}>{content}</a>;
}

function cut(text: string, room: number): string {
  return text.length <= room ? text : `${text.slice(0, Math.max(1, room - 1))}…`;
}
