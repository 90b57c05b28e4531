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
  "/": {
    /** The page of the control plane */
    get: operations["getPage"];
  };
  "/page/{file}": {
    /** A file of the page */
    get: operations["getPageFile"];
  };
  "/api/v1/sign-in": {
    /** Who the caller is, and until when */
    get: operations["getSignIn"];
    /** Sign a browser in with a token: the response sets a cookie that stands for it */
    post: operations["signIn"];
    /** Sign out: the cookie is removed, and what was opened with it is closed */
    delete: operations["signOut"];
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
  "/api/v1/runners/{id}/history": {
    /** What happened to a runner since this process started, the latest first */
    get: operations["getRunnerHistory"];
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
  "/api/v1/tokens/{id}/opened": {
    /** What a token has open now: what its revocation would close */
    get: operations["getOpenedByToken"];
  };
  "/api/v1/events": {
    /** Events of runners and of what users own, as server-sent events; a user reads the user's own */
    get: operations["readEvents"];
  };
  "/api/v1/access-log": {
    /** Lines of the access log as requests end, as server-sent events; a user reads those of the user's own requests */
    get: operations["readAccessLog"];
  };
  "/api/v1/requests": {
    /** Requests that have ended last, the latest first; a user sees the user's own */
    get: operations["listRecentRequests"];
  };
  "/api/v1/requests/{id}": {
    /** One of them, by its `X-Request-Id` */
    get: operations["getRecentRequest"];
  };
  "/api/v1/history": {
    /**
     * Figures of the last hour in steps, the oldest first (admin)
     * @description `requests`, `errors` (codes other than `ok`, and 5xx), `bytesIn`, `bytesOut`, `connects`, `losses` and `tunnelBytes` are counts of a step; `p50Ms` to `p99Ms` are durations of its HTTP requests, `loopDelayMs` the longest delay of the event loop in it, `cpu` the part of a core that the process used; `streams`, `waitingDials`, `runners` (connected) and `rssBytes` are as at its end. Requests to the API are not counted.
     */
    get: operations["getHistory"];
  };
  "/api/v1/audit": {
    /** Acts of administrators, the latest first (admin) */
    get: operations["listAuditEntries"];
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
    SignIn: {
      /** @description Name of the credential */
      id: string;
      /** @enum {string} */
      kind: "admin" | "user" | "runner";
      owner: string | null;
      admin: boolean;
      /** @description Patterns of the runners that its grant covers */
      runners: string[];
      targets: string[] | null;
      /** @description Of the token */
      expiresAt: string | null;
      signIn: {
        since: string;
        /** @description If it is not used until then */
        expiresAt: string;
        /** @description However often it is used */
        endsAt: string;
      } | null;
      version: string;
    };
    Runner: {
      /** @example gpu-1 */
      id: string;
      /** @enum {string} */
      state: "connected" | "reconnecting" | "gone";
      since: string;
      /** @enum {string|null} */
      carrier: "rh2" | "ptth" | "websocket" | "h2" | "revdial" | "node" | null;
      version: string | null;
      /** @description Id of the agent's credential, or of the last agent's (admin) */
      credential: string | null;
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
        /** @description Whether the caller may reach it */
        mayDial: boolean;
      }[];
      connections: {
        id: string;
        /** @enum {string} */
        carrier: "rh2" | "ptth" | "websocket" | "h2" | "revdial" | "node";
        since: string;
        rttMs: number | null;
        peer: string | null;
        version: string;
        /** @description Id (admin) */
        credential: string | null;
        streams: number;
        /** @description In both directions, so far */
        bytes: number;
        draining: boolean;
      }[];
      /** @description Connections that take over when those in use are lost */
      behind: {
        id: string;
        /** @enum {string} */
        carrier: "rh2" | "ptth" | "websocket" | "h2" | "revdial" | "node";
        since: string;
        rttMs: number | null;
        peer: string | null;
        version: string;
        /** @description Id (admin) */
        credential: string | null;
        streams: number;
        /** @description In both directions, so far */
        bytes: number;
        draining: boolean;
      }[];
    };
    RunnerEvent: {
      time: string;
      /** @enum {string} */
      type: "connected" | "replaced" | "rerouted" | "lost" | "grace-expired";
      connection?: string;
      restarted?: boolean;
      discovered?: boolean;
      /** @description Of a loss */
      reason?: string;
      /** @description Of a loss: how long its connection was open */
      lastedMs?: number;
      carrier?: string;
      version?: string;
      /** @description Id (admin) */
      credential?: string;
      /** @description Address (admin) */
      peer?: string;
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
      /** @description When it was last presented, since this process started */
      last_used_at: string | null;
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
    Opened: {
      /** @description Requests, WebSockets, tunnels and event streams */
      streams: number;
      sign_ins: number;
      /** @description Of agents */
      connections: number;
      /** @description Some of those that these serve */
      runners: string[];
      runner_count: number;
    };
    RecentRequest: {
      /** @description Greater than that of what has ended before */
      seq: number;
      /** @description Of its end */
      time: string;
      id: string;
      /** @enum {string} */
      way: "route" | "forward-proxy" | "connect" | "websocket" | "dial" | "api";
      method?: string;
      /** @description The values of its query are `*` */
      path?: string;
      /** @description Absent if the caller got no response */
      status?: number;
      /** @description `ok`, or the code of the error */
      code: string;
      credential?: string;
      owner?: string;
      client?: string;
      runner?: string;
      target?: string;
      connection?: string;
      traceId?: string;
      bytesIn: number;
      bytesOut: number;
      /** @description Until a connection of the runner was found */
      queueMs?: number;
      /** @description From then until the agent had reached the target */
      dialMs?: number;
      /** @description From the start to the header of the target's response */
      firstByteMs?: number;
      totalMs?: number;
      /**
       * @description Where it failed: waiting for the runner, connecting to the target, …
       * @enum {string}
       */
      phase?: "runner" | "connect" | "response" | "content";
      /** @description Why it failed (admin) */
      reason?: string;
      /** @description The system's error at the agent (admin) */
      errno?: string;
    };
    AuditEntry: {
      seq: number;
      time: string;
      credential: string;
      owner: string | null;
      client: string;
      /** @example token-revoked */
      action: string;
      subject: string;
      details: {
        [key: string]: string;
      };
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
  /** The page of the control plane */
  getPage: {
    responses: {
      /** @description The page */
      200: {
        content: {
          "text/html": string;
        };
      };
      /** @description It has not been built */
      404: {
        content: {
          "text/plain": string;
        };
      };
    };
  };
  /** A file of the page */
  getPageFile: {
    parameters: {
      path: {
        file: string;
      };
    };
    responses: {
      /** @description The file */
      200: {
        content: {
          "application/octet-stream": string;
        };
      };
      /** @description There is no such file */
      404: {
        content: never;
      };
    };
  };
  /** Who the caller is, and until when */
  getSignIn: {
    responses: {
      /** @description The caller */
      200: {
        content: {
          "application/json": components["schemas"]["SignIn"];
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
  /** Sign a browser in with a token: the response sets a cookie that stands for it */
  signIn: {
    requestBody: {
      content: {
        "application/json": {
          token: string;
        };
      };
    };
    responses: {
      /** @description Signed in */
      201: {
        content: {
          "application/json": components["schemas"]["SignIn"];
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
  /** Sign out: the cookie is removed, and what was opened with it is closed */
  signOut: {
    responses: {
      /** @description Signed out */
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
  /** What happened to a runner since this process started, the latest first */
  getRunnerHistory: {
    parameters: {
      path: {
        id: string;
      };
    };
    responses: {
      /** @description Its events */
      200: {
        content: {
          "application/json": {
            events: components["schemas"]["RunnerEvent"][];
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
  /** What a token has open now: what its revocation would close */
  getOpenedByToken: {
    parameters: {
      path: {
        id: string;
      };
    };
    responses: {
      /** @description What is open */
      200: {
        content: {
          "application/json": components["schemas"]["Opened"];
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
  /** Requests that have ended last, the latest first; a user sees the user's own */
  listRecentRequests: {
    parameters: {
      query?: {
        /** @description `*` matches any characters */
        runner?: string;
        target?: string;
        credential?: string;
        /** @description Statuses and classes of them */
        status?: string;
        /** @description Of its end */
        code?: string;
        /** @description One or several */
        way?: string;
        /** @description Only later ones: `next` of a former response */
        after?: number | null;
        /** @description Only earlier ones: the smallest `seq` of a former response */
        before?: number | null;
        limit?: number;
      };
    };
    responses: {
      /** @description Requests */
      200: {
        content: {
          "application/json": {
            requests: components["schemas"]["RecentRequest"][];
            next: number;
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
  /** One of them, by its `X-Request-Id` */
  getRecentRequest: {
    parameters: {
      path: {
        id: string;
      };
    };
    responses: {
      /** @description The request */
      200: {
        content: {
          "application/json": components["schemas"]["RecentRequest"];
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
   * Figures of the last hour in steps, the oldest first (admin)
   * @description `requests`, `errors` (codes other than `ok`, and 5xx), `bytesIn`, `bytesOut`, `connects`, `losses` and `tunnelBytes` are counts of a step; `p50Ms` to `p99Ms` are durations of its HTTP requests, `loopDelayMs` the longest delay of the event loop in it, `cpu` the part of a core that the process used; `streams`, `waitingDials`, `runners` (connected) and `rssBytes` are as at its end. Requests to the API are not counted.
   */
  getHistory: {
    parameters: {
      query?: {
        /** @description Only steps that have ended later: Unix seconds */
        after?: number | null;
      };
    };
    responses: {
      /** @description Columns of equal length */
      200: {
        content: {
          "application/json": {
            stepS: number;
            /** @description Ends of the steps, Unix seconds */
            time: number[];
            series: {
              requests: (number | null)[];
              errors: (number | null)[];
              bytesIn: (number | null)[];
              bytesOut: (number | null)[];
              p50Ms: (number | null)[];
              p90Ms: (number | null)[];
              p99Ms: (number | null)[];
              streams: (number | null)[];
              waitingDials: (number | null)[];
              connects: (number | null)[];
              losses: (number | null)[];
              runners: (number | null)[];
              tunnelBytes: (number | null)[];
              loopDelayMs: (number | null)[];
              cpu: (number | null)[];
              rssBytes: (number | null)[];
            };
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
  /** Acts of administrators, the latest first (admin) */
  listAuditEntries: {
    parameters: {
      query?: {
        /** @description Only later ones: `next` of a former response */
        after?: number | null;
        /** @description Only earlier ones */
        before?: number | null;
        limit?: number;
      };
    };
    responses: {
      /** @description Entries */
      200: {
        content: {
          "application/json": {
            entries: components["schemas"]["AuditEntry"][];
            next: number;
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
