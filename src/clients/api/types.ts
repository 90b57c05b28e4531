/**
 * The API's types, written by `npm run api-types` from the OpenAPI document of a control plane with Helix's sessions; a test
 * compares the two. Longer than 300 lines because it is one document.
 */

export interface paths {
  "/healthz": {
    /** Whether the process responds */
    get: operations["getHealth"];
  };
  "/readyz": {
    /** Whether it should get traffic */
    get: operations["getReadiness"];
  };
  "/metrics": {
    /** Metrics, in the text format of Prometheus (admin) */
    get: operations["getMetrics"];
  };
  "/openapi.json": {
    /** The OpenAPI document */
    get: operations["getOpenApiDocument"];
  };
  "/docs": {
    /** The API as a page for people */
    get: operations["getApiReference"];
  };
  "/api/v1/runners": {
    /** The runners that the caller may dial; for an admin all */
    get: operations["listRunners"];
  };
  "/api/v1/runners/{id}": {
    /** One runner */
    get: operations["getRunner"];
    /** Close all connections of a runner (admin) */
    delete: operations["kickRunner"];
  };
  "/api/v1/runners/{id}/ping": {
    /** A round trip to the runner's agent */
    get: operations["pingRunner"];
  };
  "/api/v1/runners/{id}/metrics": {
    /** The agent's metrics, in the text format of Prometheus */
    get: operations["getRunnerMetrics"];
  };
  "/api/v1/diagnosis": {
    /** Versions, figures, configuration without secrets, and recent log lines of the control plane (admin) */
    get: operations["getDiagnosis"];
  };
  "/api/v1/runners/{id}/diagnosis": {
    /** The same of the runner's agent, as far as its version has it (admin) */
    get: operations["getRunnerDiagnosis"];
  };
  "/api/v1/tokens": {
    /** Issued tokens, without their secrets */
    get: operations["listTokens"];
    /** Issue a token; only this response has its secret */
    post: operations["issueToken"];
    /** Revoke all tokens of a user, also those of the token file, and delete the user's sessions */
    delete: operations["revokeTokensOfOwner"];
  };
  "/api/v1/tokens/{id}": {
    /** Revoke a token, also one of the token file, and close its streams and connections */
    delete: operations["revokeToken"];
  };
  "/api/v1/events": {
    /** Events of runners and of what users own, as server-sent events; a user reads the user's own */
    get: operations["readEvents"];
  };
  "/api/v1/access-log": {
    /** Lines of the access log as requests end, as server-sent events; a user reads those of the user's own requests */
    get: operations["readAccessLog"];
  };
  "/api/v1/sessions": {
    /** The caller's sessions; for an admin all */
    get: operations["listSessions"];
    /**
     * Create a session on the least loaded Wolf instance
     * @description Waits for an instance that is expected back. With `Prefer: wait=N` it waits up to N seconds for any instance with room.
     */
    post: operations["createSession"];
  };
  "/api/v1/sessions/{id}": {
    /** One session */
    get: operations["getSession"];
    /** Stop the session's lobby and free its capacity */
    delete: operations["deleteSession"];
  };
  "/api/v1/wolf-instances": {
    /** All instances (admin) */
    get: operations["listWolfInstances"];
  };
  "/api/v1/wolf-instances/{id}": {
    /** One instance (admin) */
    get: operations["getWolfInstance"];
    /** Forget an instance and close its tunnel connections; sessions of an offline one end with it (admin) */
    delete: operations["forgetWolfInstance"];
  };
  "/api/v1/wolf-instances/{id}/heartbeat": {
    /** Report disks, GPUs and capacity, with a token that may register the instance's runner */
    post: operations["reportHeartbeat"];
  };
}

export interface components {
  schemas: {
    Error: {
      error: {
        /** @example runner_unknown */
        code: string;
        message: string;
        requestId: string;
        details?: string[];
      };
    };
    Runner: {
      /** @example gpu-1 */
      id: string;
      /** @enum {string} */
      state: "connected" | "reconnecting" | "gone";
      since: string;
      /** @enum {string|null} */
      carrier: "rh2" | "ptth" | "websocket" | "h2" | "revdial" | null;
      version: string | null;
      rttMs: number | null;
      /** @description Reached through the agent that discovered it, because the agent that has it configured is not connected */
      discovered: boolean;
      bootEpoch: string | null;
      waitingDials: number;
      targets: {
        name: string;
        /** @enum {string} */
        http: "2" | "auto" | "1.0" | "1.1";
        healthy: boolean;
      }[];
      connections: {
        id: string;
        /** @enum {string} */
        carrier: "rh2" | "ptth" | "websocket" | "h2" | "revdial";
        since: string;
        rttMs: number | null;
        peer: string | null;
        streams: number;
        draining: boolean;
      }[];
      /** @description Connections that take over when those in use are lost */
      behind: {
        id: string;
        /** @enum {string} */
        carrier: "rh2" | "ptth" | "websocket" | "h2" | "revdial";
        since: string;
        rttMs: number | null;
        peer: string | null;
        streams: number;
        draining: boolean;
      }[];
    };
    Token: {
      id: string;
      /** @enum {string} */
      kind: "admin" | "user" | "runner";
      owner: string | null;
      runners: string[];
      targets: string[] | null;
      created_at: string;
      expires_at: string | null;
      session: string | null;
    };
    NewToken: {
      /** @description Name of the credential */
      id: string;
      /** @enum {string} */
      kind: "admin" | "user" | "runner";
      /** @description User; default: the id */
      owner?: string;
      /** @default [] */
      runners?: string[];
      targets?: string[];
      expires_in_s?: number;
    };
    Session: {
      /** @example ses_0mh2k3l4m5a1b2c3d4e5f60718 */
      id: string;
      owner: string;
      name: string;
      /** @enum {string} */
      state: "creating" | "running" | "lost" | "stopping";
      reason: string | null;
      wolf_instance_id: string;
      wolf_lobby_id: string | null;
      /** @example sandbox-ses_0mh2k3l4m5a1b2c3d4e5f60718 */
      runner: string;
      /** @enum {string} */
      runner_state: "never-seen" | "connected" | "reconnecting" | "gone";
      created_at: string;
      updated_at: string;
      links: {
        [key: string]: string;
      };
    };
    NewSession: {
      /** @default session */
      name?: string;
      /** @description The user who owns it (admin) */
      owner?: string;
      /** @default 1920 */
      width?: number;
      /** @default 1080 */
      height?: number;
      /** @default 60 */
      refresh_rate?: number;
      /** @description Container image reference; a user may name one that the operator allows */
      image?: string;
      /** @example nvidia */
      gpu_vendor?: string;
      privileged?: boolean;
    };
    WolfInstance: {
      id: string;
      name: string;
      /** @enum {string} */
      status: "online" | "reconnecting" | "offline";
      runner: string;
      connected_sandboxes: number;
      max_sandboxes: number;
      gpu_vendor: string | null;
      render_node: string | null;
      privileged_mode_enabled: boolean;
      desktop_versions: {
        [key: string]: string;
      };
      disk_usage: {
        mount_point: string;
        total_bytes: number;
        used_bytes: number;
        avail_bytes: number;
        /** @description 0 to 100; a value outside is clamped */
        used_percent: number;
      }[];
      /**
       * @description of the fullest disk
       * @enum {string}
       */
      disk_alert_level: "ok" | "warning" | "critical";
      disk_reported_at: string | null;
      gpus: {
        index: number;
        model_name: string | null;
        vendor: string | null;
        /** @description bytes */
        total_memory: number | null;
        /** @description bytes */
        used_memory: number | null;
        /** @description of its memory */
        used_percent: number | null;
        utilization_percent: number | null;
        temperature_celsius: number | null;
        /**
         * @description of its memory: warning from 80 %, critical from 95 %
         * @enum {string}
         */
        alert_level: "ok" | "warning" | "critical";
      }[];
      /**
       * @description of the GPU with the fullest memory
       * @enum {string}
       */
      gpu_alert_level: "ok" | "warning" | "critical";
      gpus_reported_at: string | null;
      container_usage: {
        container_id: string;
        container_name: string;
        size_bytes: number;
        rw_size_bytes: number;
      }[];
      last_heartbeat: string | null;
      created_at: string;
    };
    Heartbeat: {
      max_sandboxes?: number | null;
      desktop_versions?: {
        [key: string]: string;
      } | null;
      disk_usage?:
        | {
            mount_point: string;
            total_bytes: number;
            used_bytes: number;
            avail_bytes: number;
            /** @description 0 to 100; a value outside is clamped */
            used_percent: number;
          }[]
        | null;
      container_usage?:
        | {
            container_id: string;
            container_name: string;
            size_bytes: number;
            rw_size_bytes: number;
          }[]
        | null;
      privileged_mode_enabled?: boolean | null;
      gpu_vendor?: string | null;
      render_node?: string | null;
      gpus?:
        | {
            /** @description default: the position in the list */
            index?: number | null;
            model_name?: string | null;
            gpu_name?: string | null;
            vendor?: string | null;
            total_memory?: number | null;
            used_memory?: number | null;
            free_memory?: number | null;
            memory_total_mb?: number | null;
            memory_used_mb?: number | null;
            /** @description of its memory, if not given in bytes */
            used_percent?: number | null;
            /** @description 0 to 100; a value outside is clamped */
            utilization_percent?: number | null;
            /** @description 0 to 100; a value outside is clamped */
            gpu_utilization_percent?: number | null;
            temperature_celsius?: number | null;
          }[]
        | null;
      /** @description of one GPU, as in Wolf's /api/v1/system/memory; ignored beside `gpus` */
      gpu_stats?: {
        /** @description default: the position in the list */
        index?: number | null;
        model_name?: string | null;
        gpu_name?: string | null;
        vendor?: string | null;
        total_memory?: number | null;
        used_memory?: number | null;
        free_memory?: number | null;
        memory_total_mb?: number | null;
        memory_used_mb?: number | null;
        /** @description of its memory, if not given in bytes */
        used_percent?: number | null;
        /** @description 0 to 100; a value outside is clamped */
        utilization_percent?: number | null;
        /** @description 0 to 100; a value outside is clamped */
        gpu_utilization_percent?: number | null;
        temperature_celsius?: number | null;
        available?: boolean | null;
      } | null;
    };
  };
  responses: never;
  parameters: {};
  requestBodies: never;
  headers: never;
  pathItems: never;
}

export interface operations {
  /** Whether the process responds */
  getHealth: {
    responses: {
      /** @description The process responds */
      200: {
        content: {
          "text/plain": string;
        };
      };
    };
  };
  /** Whether it should get traffic */
  getReadiness: {
    responses: {
      /** @description Ready */
      200: {
        content: {
          "application/json": {
            ready: boolean;
            /**
             * @description `ok`, or why changes cannot be saved
             * @example ok
             */
            store: string;
          };
        };
      };
      /** @description Not ready */
      503: {
        content: {
          "application/json": {
            ready: boolean;
            /**
             * @description `ok`, or why changes cannot be saved
             * @example ok
             */
            store: string;
          };
        };
      };
    };
  };
  /** Metrics, in the text format of Prometheus (admin) */
  getMetrics: {
    responses: {
      /** @description Metrics */
      200: {
        content: {
          "text/plain": string;
        };
      };
      /** @description Refused */
      default: {
        content: {
          "application/json": components["schemas"]["Error"];
        };
      };
    };
  };
  /** The OpenAPI document */
  getOpenApiDocument: {
    responses: {
      /** @description The OpenAPI document */
      200: {
        content: {
          "application/json": {
            openapi: string;
            [key: string]: unknown;
          };
        };
      };
      /** @description Refused */
      default: {
        content: {
          "application/json": components["schemas"]["Error"];
        };
      };
    };
  };
  /** The API as a page for people */
  getApiReference: {
    responses: {
      /** @description The page */
      200: {
        content: {
          "text/html": string;
        };
      };
    };
  };
  /** The runners that the caller may dial; for an admin all */
  listRunners: {
    responses: {
      /** @description Runners */
      200: {
        content: {
          "application/json": {
            runners: components["schemas"]["Runner"][];
          };
        };
      };
      /** @description Refused */
      default: {
        content: {
          "application/json": components["schemas"]["Error"];
        };
      };
    };
  };
  /** One runner */
  getRunner: {
    parameters: {
      path: {
        id: string;
      };
    };
    responses: {
      /** @description The runner */
      200: {
        content: {
          "application/json": components["schemas"]["Runner"];
        };
      };
      /** @description Refused */
      default: {
        content: {
          "application/json": components["schemas"]["Error"];
        };
      };
    };
  };
  /** Close all connections of a runner (admin) */
  kickRunner: {
    parameters: {
      path: {
        id: string;
      };
    };
    responses: {
      /** @description The connections drain; the agent connects again */
      204: {
        content: never;
      };
      /** @description Refused */
      default: {
        content: {
          "application/json": components["schemas"]["Error"];
        };
      };
    };
  };
  /** A round trip to the runner's agent */
  pingRunner: {
    parameters: {
      path: {
        id: string;
      };
    };
    responses: {
      /** @description The round trip */
      200: {
        content: {
          "application/json": {
            id: string;
            connection: string;
            rttMs: number;
          };
        };
      };
      /** @description Refused */
      default: {
        content: {
          "application/json": components["schemas"]["Error"];
        };
      };
    };
  };
  /** The agent's metrics, in the text format of Prometheus */
  getRunnerMetrics: {
    parameters: {
      path: {
        id: string;
      };
    };
    responses: {
      /** @description The metrics */
      200: {
        content: {
          "text/plain": string;
        };
      };
      /** @description Refused */
      default: {
        content: {
          "application/json": components["schemas"]["Error"];
        };
      };
    };
  };
  /** Versions, figures, configuration without secrets, and recent log lines of the control plane (admin) */
  getDiagnosis: {
    responses: {
      /** @description The diagnosis */
      200: {
        content: {
          "application/json": {
            process: {
              [key: string]: unknown;
            };
            configuration: {
              [key: string]: unknown;
            };
            state: {
              [key: string]: unknown;
            };
            log: {
              [key: string]: unknown;
            }[];
          };
        };
      };
      /** @description Refused */
      default: {
        content: {
          "application/json": components["schemas"]["Error"];
        };
      };
    };
  };
  /** The same of the runner's agent, as far as its version has it (admin) */
  getRunnerDiagnosis: {
    parameters: {
      path: {
        id: string;
      };
    };
    responses: {
      /** @description The diagnosis */
      200: {
        content: {
          "application/json": {
            [key: string]: unknown;
          };
        };
      };
      /** @description Refused */
      default: {
        content: {
          "application/json": components["schemas"]["Error"];
        };
      };
    };
  };
  /** Issued tokens, without their secrets */
  listTokens: {
    responses: {
      /** @description Tokens */
      200: {
        content: {
          "application/json": {
            tokens: components["schemas"]["Token"][];
          };
        };
      };
      /** @description Refused */
      default: {
        content: {
          "application/json": components["schemas"]["Error"];
        };
      };
    };
  };
  /** Issue a token; only this response has its secret */
  issueToken: {
    requestBody: {
      content: {
        "application/json": components["schemas"]["NewToken"];
      };
    };
    responses: {
      /** @description Issued */
      201: {
        content: {
          "application/json": components["schemas"]["Token"] & {
            token: string;
          };
        };
      };
      /** @description Refused */
      default: {
        content: {
          "application/json": components["schemas"]["Error"];
        };
      };
    };
  };
  /** Revoke all tokens of a user, also those of the token file, and delete the user's sessions */
  revokeTokensOfOwner: {
    parameters: {
      query: {
        owner: string;
      };
    };
    responses: {
      /** @description Revoked */
      200: {
        content: {
          "application/json": {
            tokens: number;
            sessions: number;
          };
        };
      };
      /** @description Refused */
      default: {
        content: {
          "application/json": components["schemas"]["Error"];
        };
      };
    };
  };
  /** Revoke a token, also one of the token file, and close its streams and connections */
  revokeToken: {
    parameters: {
      path: {
        id: string;
      };
    };
    responses: {
      /** @description Revoked */
      204: {
        content: never;
      };
      /** @description Refused */
      default: {
        content: {
          "application/json": components["schemas"]["Error"];
        };
      };
    };
  };
  /** Events of runners and of what users own, as server-sent events; a user reads the user's own */
  readEvents: {
    responses: {
      /** @description Events */
      200: {
        content: {
          "text/event-stream": string;
        };
      };
      /** @description Refused */
      default: {
        content: {
          "application/json": components["schemas"]["Error"];
        };
      };
    };
  };
  /** Lines of the access log as requests end, as server-sent events; a user reads those of the user's own requests */
  readAccessLog: {
    parameters: {
      query?: {
        /** @description `*` matches any characters */
        runner?: string;
        target?: string;
        credential?: string;
        /** @description Statuses and classes of them */
        status?: string;
      };
    };
    responses: {
      /** @description Events `line`, each a line of the access log, and `dropped` with the number of lines that were left out */
      200: {
        content: {
          "text/event-stream": string;
        };
      };
      /** @description Refused */
      default: {
        content: {
          "application/json": components["schemas"]["Error"];
        };
      };
    };
  };
  /** The caller's sessions; for an admin all */
  listSessions: {
    responses: {
      /** @description Sessions */
      200: {
        content: {
          "application/json": {
            sessions: components["schemas"]["Session"][];
          };
        };
      };
      /** @description Refused */
      default: {
        content: {
          "application/json": components["schemas"]["Error"];
        };
      };
    };
  };
  /**
   * Create a session on the least loaded Wolf instance
   * @description Waits for an instance that is expected back. With `Prefer: wait=N` it waits up to N seconds for any instance with room.
   */
  createSession: {
    requestBody: {
      content: {
        "application/json": components["schemas"]["NewSession"];
      };
    };
    responses: {
      /** @description Created */
      201: {
        content: {
          "application/json": components["schemas"]["Session"];
        };
      };
      /** @description Refused */
      default: {
        content: {
          "application/json": components["schemas"]["Error"];
        };
      };
    };
  };
  /** One session */
  getSession: {
    parameters: {
      path: {
        id: string;
      };
    };
    responses: {
      /** @description The session */
      200: {
        content: {
          "application/json": components["schemas"]["Session"];
        };
      };
      /** @description Refused */
      default: {
        content: {
          "application/json": components["schemas"]["Error"];
        };
      };
    };
  };
  /** Stop the session's lobby and free its capacity */
  deleteSession: {
    parameters: {
      path: {
        id: string;
      };
    };
    responses: {
      /** @description Its lobby will be stopped when its instance is back */
      202: {
        content: never;
      };
      /** @description Stopped */
      204: {
        content: never;
      };
      /** @description Refused */
      default: {
        content: {
          "application/json": components["schemas"]["Error"];
        };
      };
    };
  };
  /** All instances (admin) */
  listWolfInstances: {
    responses: {
      /** @description Instances */
      200: {
        content: {
          "application/json": {
            wolf_instances: components["schemas"]["WolfInstance"][];
          };
        };
      };
      /** @description Refused */
      default: {
        content: {
          "application/json": components["schemas"]["Error"];
        };
      };
    };
  };
  /** One instance (admin) */
  getWolfInstance: {
    parameters: {
      path: {
        id: string;
      };
    };
    responses: {
      /** @description The instance */
      200: {
        content: {
          "application/json": components["schemas"]["WolfInstance"];
        };
      };
      /** @description Refused */
      default: {
        content: {
          "application/json": components["schemas"]["Error"];
        };
      };
    };
  };
  /** Forget an instance and close its tunnel connections; sessions of an offline one end with it (admin) */
  forgetWolfInstance: {
    parameters: {
      path: {
        id: string;
      };
    };
    responses: {
      /** @description Forgotten */
      204: {
        content: never;
      };
      /** @description Refused */
      default: {
        content: {
          "application/json": components["schemas"]["Error"];
        };
      };
    };
  };
  /** Report disks, GPUs and capacity, with a token that may register the instance's runner */
  reportHeartbeat: {
    parameters: {
      path: {
        id: string;
      };
    };
    requestBody?: {
      content: {
        "application/json": components["schemas"]["Heartbeat"];
      };
    };
    responses: {
      /** @description Noted */
      200: {
        content: {
          "application/json": {
            /** @enum {string} */
            status: "ok";
            /** @enum {string} */
            disk_alert_level: "ok" | "warning" | "critical";
            /** @enum {string} */
            gpu_alert_level: "ok" | "warning" | "critical";
            /** @description parts of the body that were ignored, and why */
            ignored?: string[];
          };
        };
      };
      /** @description Refused */
      default: {
        content: {
          "application/json": components["schemas"]["Error"];
        };
      };
    };
  };
}
