/** Paired Moonlight clients, and pairing. */
import { z } from "zod";
import type { CallOptions } from "../http/call.ts";
import { idSchema, optional } from "../http/tolerant.ts";
import type { WolfApi } from "./api.ts";

export interface ClientSettings {
  run_uid: number;
  run_gid: number;
  controllers_override: string[];
  mouse_acceleration: number;
  v_scroll_acceleration: number;
  h_scroll_acceleration: number;
}

/** As far as Wolf lists them. */
export type ListedClientSettings = { [Name in keyof ClientSettings]?: ClientSettings[Name] | undefined };

export interface PairedClient {
  /** 64 bits, in decimal. */
  client_id: string;
  app_state_folder?: string | undefined;
  settings: ListedClientSettings;
  [field: string]: unknown;
}

export interface PendingPair {
  pair_secret: string;
  client_ip?: string | undefined;
}

const settingsSchema: z.ZodType<ListedClientSettings> = z.looseObject({
  run_uid: optional(z.number()),
  run_gid: optional(z.number()),
  controllers_override: optional(z.array(z.string())),
  mouse_acceleration: optional(z.number()),
  v_scroll_acceleration: optional(z.number()),
  h_scroll_acceleration: optional(z.number()),
});

const clientSchema: z.ZodType<PairedClient> = z.looseObject({
  client_id: idSchema,
  app_state_folder: optional(z.string()),
  settings: settingsSchema.catch({}),
});

const pendingSchema: z.ZodType<PendingPair> = z.looseObject({
  pair_secret: idSchema,
  client_ip: optional(z.string()),
});

export class WolfClients {
  readonly #api: WolfApi;

  constructor(api: WolfApi) {
    this.#api = api;
  }

  async list(options?: CallOptions): Promise<PairedClient[]> {
    const schema = z.looseObject({ clients: z.array(clientSchema) });
    return (await this.#api.get("/clients", schema, options)).clients;
  }

  /** Changes the given settings only. @throws WolfError 404 for an unknown client */
  update(
    clientId: string,
    changes: { app_state_folder?: string; settings?: Partial<ClientSettings> },
    options?: CallOptions,
  ): Promise<void> {
    return this.#api.order("/clients/settings", { ...changes, client_id: clientId }, options);
  }
}

export class WolfPairing {
  readonly #api: WolfApi;

  constructor(api: WolfApi) {
    this.#api = api;
  }

  /** Devices that wait for a PIN. */
  async pending(options?: CallOptions): Promise<PendingPair[]> {
    const schema = z.looseObject({ requests: z.array(pendingSchema) });
    return (await this.#api.get("/pair/pending", schema, options)).requests;
  }

  /** @param pin as shown by the device */
  pair(pairSecret: string, pin: string, options?: CallOptions): Promise<void> {
    return this.#api.order("/pair/client", { pair_secret: pairSecret, pin }, options);
  }

  /** @throws WolfError 404 for an unknown client */
  unpair(clientId: string, options?: CallOptions): Promise<void> {
    return this.#api.order("/unpair/client", { client_id: clientId }, options);
  }
}
