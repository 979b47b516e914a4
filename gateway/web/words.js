// Numbers and reasons in a person's words. Pure.

const UNITS = ["bytes", "kB", "MB", "GB", "TB"];

export function bytes(count) {
  let unit = 0;
  while (count >= 999.5 && unit < UNITS.length - 1) {
    count /= 1000;
    unit += 1;
  }
  const digits = unit === 0 || count >= 99.5 ? 0 : 1;
  return `${count.toFixed(digits)} ${UNITS[unit]}`;
}

export const counted = (count, word) => `${count.toLocaleString("en")} ${word}${count === 1 ? "" : "s"}`;

export function left(seconds) {
  if (seconds < 8) return "a few seconds left";
  if (seconds < 55) return `about ${Math.ceil(seconds / 10) * 10} s left`;
  if (seconds < 3300) return `about ${Math.round(seconds / 60)} min left`;
  return `about ${(seconds / 3600).toFixed(1)} h left`;
}

export function ago(seconds) {
  if (seconds < 60) return `${Math.round(seconds)} s ago`;
  return seconds < 3600 ? `${Math.round(seconds / 60)} min ago` : `${Math.round(seconds / 3600)} h ago`;
}

export const when = (time, timeStyle = "short") =>
  new Date(time).toLocaleString("en", { dateStyle: "medium", timeStyle });

export const KINDS = { audio: "Narration", image: "Images", video: "Videos" };

export const SINGLE = { audio: "Narration", image: "Image", video: "Video" };

const NOUNS = { audio: "narration", image: "image", video: "video" };

export const STATES = {
  queued: "Waiting for its turn",
  planning: "Looking at the files",
  copying: "Copying files",
  packing: "Making the ZIP",
  verifying: "Checking every file",
  publishing: "Almost there",
  cancelling: "Stopping",
  completed: "Your export is ready",
  failed: "The export failed",
  cancelled: "The export was cancelled",
  expired: "The export has expired",
  deleted: "The export was removed",
};

const REASONS = {
  pending: "not generated yet",
  generating: "being generated",
  failed: "could not be generated",
  missing: "its file is not there",
  unreadable: "its file cannot be read",
  stale: "made from an older text",
  excluded: "left out as you chose",
  in_section_audio: "is in the section’s narration",
};
export const reason = (word) => REASONS[word] ?? word;

const CHOSEN = new Set(["excluded", "stale", "in_section_audio"]);

export const missing = (omissions) => sums(omissions.filter((one) => !CHOSEN.has(one.reason)));

export function sums(omissions) {
  const kinds = Object.keys(SINGLE).map((kind) => [omissions.filter((one) => one.kind === kind).length, kind]);
  return kinds.filter(([count]) => count).map(([count, kind]) => counted(count, NOUNS[kind])).join(", ");
}

export function headline(shown) {
  const outcome = shown.state === "completed" ? shown.result.outcome : "";
  if (outcome === "partial") return "Ready, but not everything is in it";
  if (outcome === "empty") return "Only the script could be exported";
  return STATES[shown.state] ?? shown.state;
}

// What the download is called where it is not the whole folder.
export const ARCHIVES = { otioz: "timeline bundle", changes: "what changed" };
