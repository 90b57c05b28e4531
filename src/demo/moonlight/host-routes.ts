/** What the dialects' HTTP routes have in common: calls that name a host, and the addition of one. */
import type { ServerResponse } from "node:http";
import { empty, json, member, parameter, text } from "./responses.ts";
import type { Fields } from "./responses.ts";
import { addHost, detailed, findHost } from "./state.ts";
import type { MoonlightHost, MoonlightState } from "./state.ts";

export interface HostCall {
  state: MoonlightState;
  query: URLSearchParams;
  /** Empty for requests without a body. */
  body: Fields;
  response: ServerResponse;
}

type ForHost<Call> = (call: Call, host: MoonlightHost) => void;

/** @throws BadRequest */
export function byQuery<Call extends HostCall>(then: ForHost<Call>, notFound = ""): (call: Call) => void {
  return (call) => withHost(call, parameter(call.query, "host_id"), then, notFound);
}

/** @throws BadRequest */
export function byBody<Call extends HostCall>(then: ForHost<Call>, notFound = ""): (call: Call) => void {
  return (call) => withHost(call, member(call.body, "host_id"), then, notFound);
}

function withHost<Call extends HostCall>(
  call: Call,
  id: unknown,
  then: ForHost<Call>,
  notFound: string,
): void {
  const host = findHost(call.state, id);
  if (host !== undefined) return then(call, host);
  if (notFound === "") empty(call.response, 404);
  else text(call.response, 404, notFound);
}

/** @throws BadRequest */
export function createHost({ state, body, response }: HostCall): void {
  const { http_port } = body;
  const port = typeof http_port === "number" ? http_port : 47_989;
  const host = addHost(state, String(member(body, "address")), port);
  if (host === undefined) return empty(response, 500);
  json(response, { host: detailed(state, host) });
}
