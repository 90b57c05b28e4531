/** Pairing and paired clients. Only these endpoints respond with 400 and 404. */
import { isObject, parseObject, text, textOr } from "../fields.ts";
import type { JsonObject } from "../fields.ts";
import { failure, success } from "../reply.ts";
import type { Reply } from "../reply.ts";
import type { Routes } from "../router.ts";
import { addBounded, defaultClientSettings, removeWhere } from "../state.ts";

export const clientRoutes: Routes = {
  "GET /api/v1/pair/pending": (_request, { state }) => {
    const requests = [...state.pendingPairs].map(([pair_secret, client_ip]) => ({ pair_secret, client_ip }));
    return success({ requests });
  },

  "POST /api/v1/pair/client": (request, { state, events }) => {
    const fields = parseObject(request.body);
    const secret = text(fields, "pair_secret");
    text(fields, "pin");
    const address = state.pendingPairs.get(secret);
    if (address === undefined) return failure("Invalid pair secret");
    state.pendingPairs.delete(secret);
    const client_id = state.nextId();
    addBounded(state.clients, { client_id, app_state_folder: client_id, settings: defaultClientSettings() });
    events.emit("wolf::core::events::PairSignal", { client_ip: address, host_ip: "172.19.0.20" });
    return success();
  },

  "POST /api/v1/unpair/client": (request, { state }) =>
    withClientId(request.body, (_fields, clientId) => {
      const removed = removeWhere(state.clients, (client) => client.client_id === clientId);
      return removed ? success() : failure("Client not found", 404);
    }),

  "GET /api/v1/clients": (_request, { state }) => success({ clients: state.clients }),

  "POST /api/v1/clients/settings": (request, { state }) =>
    withClientId(request.body, (fields, clientId) => {
      const client = state.clients.find(({ client_id }) => client_id === clientId);
      if (client === undefined) return failure("Client not found", 404);
      client.app_state_folder = textOr(fields, "app_state_folder", client.app_state_folder);
      if (isObject(fields["settings"])) Object.assign(client.settings, fields["settings"]);
      return success();
    }),
};

/** The id is a decimal string; a JSON number is refused, because it could not hold one. */
function withClientId(body: string, then: (fields: JsonObject, clientId: string) => Reply): Reply {
  let fields: JsonObject;
  let clientId: string;
  try {
    fields = parseObject(body);
    clientId = text(fields, "client_id");
  } catch {
    return failure("Invalid request format", 400);
  }
  return then(fields, clientId);
}
