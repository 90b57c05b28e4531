/** Settings of all streams from this origin. */
const STORED = "mlSettings";
const DEFAULTS = { bitrate: 10_000, packetSize: 1_024, fps: 60, width: 1_280, height: 720 };

export function loadSettings() {
  const stored = JSON.parse(localStorage.getItem(STORED) ?? "{}");
  const settings = { ...DEFAULTS, ...stored };
  localStorage.setItem(STORED, JSON.stringify(settings));
  return settings;
}
