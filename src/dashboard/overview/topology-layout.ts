/** Where the boxes of the topology's picture stand: agents, runners and their targets, or groups of them where there are many. */
import type { Runner } from "../api/types.ts";
import { isTroubled, prefixOf, streamsOf } from "../runners/arrange.ts";

export const ROW_HEIGHT = 54;
export const BOX_HEIGHT = 42;
const TOP = 34;
const SHOWN_TARGETS = 3;

export type Health = "ok" | "warn" | "bad";

export interface Box {
  key: string;
  title: string;
  detail: string;
  y: number;
  health: Health;
  /** A runner's id, for a link. */
  runner?: string | undefined;
}

export interface Edge {
  key: string;
  from: number;
  to: number;
  health: Health;
  /** Something flows: its width grows with the logarithm of bytes a second. */
  width: number;
  isFlowing: boolean;
}

export interface Layout {
  height: number;
  middle: number;
  agents: Box[];
  runners: Box[];
  targets: Box[];
  toAgents: Edge[];
  toRunners: Edge[];
  toTargets: Edge[];
}

interface Member {
  key: string;
  agent: string;
  runners: Runner[];
  bytesPerS: number;
}

/** @param maxRows more runners than this are drawn as groups */
export function layoutOf(
  runners: readonly Runner[],
  traffic: ReadonlyMap<string, number>,
  maxRows: number,
): Layout {
  const members = membersOf(runners, traffic, maxRows);
  const byAgent = Map.groupBy(members, ({ agent }) => agent);
  const ordered = [...byAgent.values()].flat();
  const height = TOP + Math.max(1, ordered.length) * ROW_HEIGHT;
  const places = new Map(ordered.map((member, index) => [member.key, TOP + index * ROW_HEIGHT]));
  const middle = TOP + ((Math.max(1, ordered.length) - 1) * ROW_HEIGHT) / 2;
  const layout: Layout = {
    height,
    middle,
    agents: [],
    runners: [],
    targets: [],
    toAgents: [],
    toRunners: [],
    toTargets: [],
  };
  for (const [agent, served] of byAgent) {
    const ys = served.map(({ key }) => places.get(key) ?? 0);
    const y = ys.reduce((sum, each) => sum + each, 0) / ys.length;
    const all = served.flatMap((member) => member.runners);
    const health = worst(all.map(connectionHealth));
    layout.agents.push({ key: agent, title: agent, detail: agentDetail(all), y, health });
    layout.toAgents.push(edge(`> ${agent}`, middle, y, health, all, sumOf(served)));
    for (const member of served) addMember(layout, member, y, places.get(member.key) ?? 0);
  }
  return layout;
}

function addMember(layout: Layout, member: Member, agentY: number, y: number): void {
  const { key, runners, bytesPerS } = member;
  const [first] = runners;
  const isOne = runners.length === 1 && first !== undefined;
  const health = worst(runners.map(connectionHealth));
  const targets = runners.flatMap((runner) => runner.targets);
  const down = targets.filter(({ healthy }) => !healthy);
  const targetHealth = health === "bad" ? "bad" : healthOf(targets.length, down.length);
  layout.runners.push({
    key,
    title: key,
    detail: isOne ? runnerDetail(first) : groupDetail(runners),
    y,
    health,
    runner: isOne ? first.id : undefined,
  });
  layout.targets.push({
    key,
    title: targetTitle(targets.map(({ name }) => name)),
    detail:
      down.length > 0
        ? `${down.length} of ${targets.length} down`
        : targets.length === 0
          ? "none offered"
          : "healthy",
    y,
    health: targetHealth,
    runner: isOne ? first.id : undefined,
  });
  layout.toRunners.push(edge(`${member.agent} > ${key}`, agentY, y, health, runners, bytesPerS));
  layout.toTargets.push(edge(`${key} >`, y, y, targetHealth, runners, bytesPerS));
}

function membersOf(
  runners: readonly Runner[],
  traffic: ReadonlyMap<string, number>,
  maxRows: number,
): Member[] {
  const rate = (each: readonly Runner[]): number =>
    each.reduce((sum, { id }) => sum + (traffic.get(id) ?? 0), 0);
  if (runners.length <= maxRows)
    return runners
      .toSorted((one, other) => one.id.localeCompare(other.id))
      .map((runner) => ({
        key: runner.id,
        agent: agentOf(runner),
        runners: [runner],
        bytesPerS: rate([runner]),
      }));
  const groups = [...Map.groupBy(runners, ({ id }) => prefixOf(id))].toSorted(
    ([, one], [, other]) => other.length - one.length,
  );
  const drawn = groups.slice(0, maxRows - 1);
  const others = groups.slice(maxRows - 1).flatMap(([, members]) => members);
  if (others.length > 0) drawn.push(["others", others]);
  return drawn.map(([prefix, members]) => {
    const agents = new Set(members.map(agentOf));
    const [only = ""] = agents;
    const agent = agents.size === 1 ? only : `${agents.size} agents of ${prefix}`;
    return { key: prefix, agent, runners: members, bytesPerS: rate(members) };
  });
}

/** Connections name no process: those of one credential from one address are taken for one agent. */
function agentOf({ credential, connections, behind }: Runner): string {
  const [connection] = [...connections, ...behind];
  if (connection === undefined) return "not connected";
  const name = connection.credential ?? credential ?? "agent";
  return connection.peer === null ? name : `${name} @ ${connection.peer}`;
}

function agentDetail(runners: readonly Runner[]): string {
  const carriers = new Set(runners.flatMap(({ carrier }) => carrier ?? []));
  const rtts = runners.flatMap(({ rttMs }) => rttMs ?? []);
  const slowest = rtts.length === 0 ? "" : `${Math.max(...rtts).toFixed(1)} ms`;
  return [[...carriers].join(", "), slowest].filter((part) => part !== "").join(" · ") || "away";
}

function runnerDetail(runner: Runner): string {
  const streams = streamsOf(runner);
  if (runner.state !== "connected") return runner.state;
  return streams === 0 ? "idle" : `${streams} ${streams === 1 ? "stream" : "streams"}`;
}

function groupDetail(runners: readonly Runner[]): string {
  const troubled = runners.filter(isTroubled).length;
  return `${runners.length} runners${troubled > 0 ? `, ${troubled} ${troubled === 1 ? "needs" : "need"} attention` : ""}`;
}

function targetTitle(names: readonly string[]): string {
  const different = [...new Set(names)];
  const shown = different.slice(0, SHOWN_TARGETS).join(", ");
  return different.length > SHOWN_TARGETS ? `${shown} +${different.length - SHOWN_TARGETS}` : shown || "–";
}

function connectionHealth({ state }: Runner): Health {
  if (state === "connected") return "ok";
  return state === "reconnecting" ? "warn" : "bad";
}

function healthOf(all: number, down: number): Health {
  if (down === 0) return "ok";
  return down === all ? "bad" : "warn";
}

/** A group is as bad as its worst only where all are: one of 5,000 is no loss of all. */
function worst(all: readonly Health[]): Health {
  if (all.every((health) => health === "ok")) return "ok";
  return all.every((health) => health === "bad") ? "bad" : "warn";
}

function sumOf(members: readonly Member[]): number {
  return members.reduce((sum, { bytesPerS }) => sum + bytesPerS, 0);
}

function edge(
  key: string,
  from: number,
  to: number,
  health: Health,
  runners: readonly Runner[],
  bytesPerS: number,
): Edge {
  const isFlowing = health !== "bad" && (bytesPerS > 200 || runners.some((runner) => streamsOf(runner) > 0));
  return { key, from, to, health, isFlowing, width: 1.5 + Math.min(4, Math.log10(1 + bytesPerS / 1_000)) };
}
