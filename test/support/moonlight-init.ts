/** The first message of a Moonlight stream: all fields that it must have, with a desktop of 1280×720. */
export interface MoonlightInit {
  credentials: string;
  session_id: string;
  mode: "create";
  host_id: number;
  app_id: number;
  bitrate: number;
  packet_size: number;
  fps: number;
  width: number;
  height: number;
  video_sample_queue_size: number;
  play_audio_local: boolean;
  audio_sample_queue_size: number;
  video_supported_formats: number;
  video_colorspace: string;
  video_color_range_full: boolean;
}

export function moonlightInit(credentials: string, session = "ses_01"): MoonlightInit {
  return {
    credentials,
    session_id: `agent-${session}`,
    mode: "create",
    host_id: 0,
    app_id: 134_906_179,
    bitrate: 10_000,
    packet_size: 1_024,
    fps: 60,
    width: 1_280,
    height: 720,
    video_sample_queue_size: 20,
    play_audio_local: false,
    audio_sample_queue_size: 20,
    video_supported_formats: 1,
    video_colorspace: "Rec709",
    video_color_range_full: false,
  };
}
