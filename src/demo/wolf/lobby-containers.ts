/** Who runs what a lobby's runner names: in Wolf, its Docker Engine. */
import type { WolfLobby } from "./state.ts";

/** Wolf answers before the container runs, and says by events what became of it: neither of these fails. */
export interface LobbyContainers {
  start(lobby: WolfLobby): void;
  stop(lobby: WolfLobby): void;
}
