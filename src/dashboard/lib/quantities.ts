/** Numbers and lengths of time as the whole dashboard writes them. Unknown is a dash, never 0. */
export const UNKNOWN = "–";

export function count(value: number | undefined): string {
  if (value === undefined || Number.isNaN(value)) return UNKNOWN;
  if (Math.abs(value) >= 1_000_000) return `${(value / 1_000_000).toFixed(2)} M`;
  return Math.round(value).toLocaleString("en-US");
}

export function rate(value: number | undefined): string {
  if (value === undefined || Number.isNaN(value)) return UNKNOWN;
  if (value === 0) return "0/s";
  if (value < 0.1) return `${count(Math.max(1, value * 60))} a minute`;
  return `${value < 10 ? value.toFixed(1) : count(value)}/s`;
}

/** What a device has measured, without the noise that a float of 32 bits has behind its seven digits. */
export const reading = (value: number): string =>
  String(Math.abs(value) < 1e7 ? Number(value.toPrecision(7)) : value);

const UNITS = ["B", "KB", "MB", "GB", "TB"];
export function bytes(value: number | undefined): string {
  if (value === undefined || Number.isNaN(value)) return UNKNOWN;
  let [size, unit] = [value, 0];
  while (size >= 1024 && unit < UNITS.length - 1) {
    size /= 1024;
    unit++;
  }
  return `${unit === 0 || size >= 100 ? Math.round(size).toLocaleString("en-US") : size.toFixed(1)} ${UNITS[unit]}`;
}

export const two = (value: number, digits = 2): string => String(value).padStart(digits, "0");

/** `58 ms`, `5.0 s`, `11 min 02 s`, `3 h 12 min`, `6 d 20 h`. */
export function length(milliseconds: number): string {
  if (milliseconds < 1_000)
    return `${milliseconds < 10 ? milliseconds.toFixed(1) : Math.round(milliseconds)} ms`;
  const seconds = milliseconds / 1_000;
  if (seconds < 60) return `${seconds.toFixed(1)} s`;
  const minutes = Math.floor(seconds / 60);
  if (minutes < 60) return `${minutes} min ${two(Math.floor(seconds % 60))} s`;
  const hours = Math.floor(minutes / 60);
  if (hours < 48) return `${hours} h ${two(minutes % 60)} min`;
  return `${Math.floor(hours / 24)} d ${hours % 24} h`;
}

/** `0.4 s`, `12 s`, `4 min`, `3 h 12 min`; rough enough to read. */
export function span(milliseconds: number): string {
  const seconds = Math.max(0, milliseconds) / 1_000;
  if (seconds < 10) return `${seconds.toFixed(1)} s`;
  if (seconds < 60) return `${Math.floor(seconds)} s`;
  const minutes = Math.floor(seconds / 60);
  if (minutes < 60) return `${minutes} min`;
  const hours = Math.floor(minutes / 60);
  if (hours < 24) return `${hours} h ${two(minutes % 60)} min`;
  if (hours < 48) return `${hours} h`;
  return `${Math.floor(hours / 24)} d ${hours % 24} h`;
}
