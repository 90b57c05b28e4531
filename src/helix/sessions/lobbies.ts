/** What sessions need of a Wolf: its lobbies. */
export interface Lobby {
  id: string;
  /** The session's id, for lobbies that we have made. */
  name: string;
  /** Store of the control plane that has made it; undefined for anybody else's. */
  madeBy: string | undefined;
}

export interface LobbyRequest {
  /** Becomes the lobby's name: that is how a lobby whose creation got no response is found again. */
  sessionId: string;
  image: string;
  width: number;
  height: number;
  refreshRate: number;
  renderNode: string;
  /** For the sandbox container, the session's own agent token among them. */
  environment: Record<string, string>;
}

export interface Lobbies {
  /** @returns the lobby's id */
  create(request: LobbyRequest): Promise<string>;
  /** Resolves also if the lobby is already gone. */
  stop(lobbyId: string): Promise<void>;
  list(): Promise<Lobby[]>;
}

/** Environment variable of a sandbox that names the store: so that another owner's lobby is never taken for ours. */
export const MADE_BY_VARIABLE = "TURNABOUT_STORE";
