/** A GET on a connection that is open already, by HTTP/1.1: to be upgraded, or to see what responds. */
import http from "node:http";
import type { Duplex } from "node:stream";
import { limitInformational } from "./informational.ts";

export function getRequest(
  connection: Duplex,
  url: URL,
  fields: Readonly<Record<string, string>>,
): http.ClientRequest {
  const request = http.request({
    createConnection: () => connection,
    method: "GET",
    path: url.pathname + url.search,
    headers: { host: url.host, ...fields },
  });
  limitInformational(request);
  return request;
}
