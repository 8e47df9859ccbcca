/** Icons, drawn by hand on 16 × 16: never alone where a word fits. */

const PATHS = {
  overview: "M2 9h4v5H2zM6 3h4v11H6zM10 6h4v8h-4z",
  client: "M8 8a3 3 0 1 0 0-6 3 3 0 0 0 0 6zM2.5 14c.6-3 2.8-4.5 5.5-4.5s4.9 1.5 5.5 4.5",
  awake: "M8 12.500a4.5 4.5 0 1 0 0-9 4.5 4.5 0 0 0 0 9z",
  asleep: "M12.5 10A5.5 5.5 0 0 1 6 3.500a5.5 5.5 0 1 0 6.5 6.500z",
  overdue: "M8 14A6 6 0 1 0 8 2a6 6 0 0 0 0 12zM8 5v3.500M8 11v.2",
  away: "M6 10l4-4M7 4l1-1a3 3 0 0 1 5 4l-1 1M9 12l-1 1a3 3 0 0 1-5-4l1-1",
  refused: "M5.5 2h5L14 5.500v5L10.5 14h-5L2 10.500v-5zM5.5 8h5",
  translation: "M2 5h9l-2.5-2.500M14 11H5l2.5 2.500M8 1v14",
  waiting: "M2 4h12M2 8h12M2 12h12",
  lost: "M3.5 3.500l9 9M12.5 3.500l-9 9",
  again: "M13 8a5 5 0 1 1-1.5-3.500L13 6M13 2.500V6H9.5",
  done: "M3 8.500l3.5 3.500L13 4.5",
  timer: "M8 14A5 5 0 1 0 8 4a5 5 0 0 0 0 10zM6.5 1.500h3M8 6.500V9l1.5 1.5",
  topic: "M3 3h4M5 3v9h4M5 7.500h4M9 7.500h4M9 12h4",
  publish: "M2 8l12-5.500L10.5 14 8 9z",
  observe: "M1.5 8S4 3.5 8 3.5 14.5 8 14.5 8 12 12.5 8 12.5 1.5 8 1.5 8zM8 10a2 2 0 1 0 0-4 2 2 0 0 0 0 4z",
  execute: "M4 2.500l9 5.5-9 5.500z",
  object: "M8 1.500l5.5 3v7L8 14.500l-5.5-3v-7zM2.5 4.500L8 7.500l5.5-3M8 7.500v7",
  firmware: "M4 4h8v8H4zM6 1.500V4M10 1.500V4M6 12v2.500M10 12v2.500M1.5 6H4M1.5 10H4M12 6h2.500M12 10h2.5",
  gateway: "M2 14V6l6-4 6 4v8M6 14V9h4v5",
  alarm: "M4 11V7a4 4 0 0 1 8 0v4l1.5 1.500h-11zM6.5 14.500h3",
  ban: "M8 14A6 6 0 1 0 8 2a6 6 0 0 0 0 12zM3.8 3.800l8.4 8.4",
  change: "M8 14A6 6 0 1 0 2.5 6M2 2.500V6h3.500M8 5v3.500l2 1.5",
  config:
    "M2 4.500h6M12 4.500h2M2 11.500h2M8 11.500h6M10 6.500a2 2 0 1 0 0-4 2 2 0 0 0 0 4zM6 13.500a2 2 0 1 0 0-4 2 2 0 0 0 0 4z",
  user: "M8 8a3 3 0 1 0 0-6 3 3 0 0 0 0 6zM2.5 14c.6-3 2.8-4.5 5.5-4.500s4.9 1.5 5.5 4.5",
  key: "M6 10a3.5 3.5 0 1 0 0-.1zM8.5 7.500l5-5M11 5l2 2",
  lock: "M4 7h8v7H4zM5.5 7V5a2.5 2.5 0 0 1 5 0v2",
  upstream: "M8 13V3M4 7l4-4 4 4M3 14.500h10",
  rule: "M2 4h4l5 4h3M2 12h4l5-4M12 6l2 2-2 2",
  connector: "M5.5 2v3M10.5 2v3M3.500 5h9v3a4.5 4.5 0 0 1-9 0zM8 12.500V15",
  search: "M7 12A5 5 0 1 0 7 2a5 5 0 0 0 0 10zM10.7 10.700L14.5 14.5",
  filter: "M2 3h12l-4.5 5.500V14l-3-2V8.500z",
  pause: "M5.5 3v10M10.5 3v10",
  play: "M4.5 3l8 5-8 5z",
  copy: "M5.5 5.500h8v8h-8zM2.5 10.500v-8h8",
  download: "M8 2v8M4.5 7L8 10.5 11.5 7M2.5 14h11",
  close: "M3.5 3.500l9 9M12.5 3.500l-9 9",
  more: "M3 8h.1M8 8h.1M13 8h.1",
  chevron: "M6 3l5 5-5 5",
  theme: "M8 14A6 6 0 1 0 8 2a6 6 0 0 0 0 12zM8 2v12",
  help: "M8 14A6 6 0 1 0 8 2a6 6 0 0 0 0 12zM6 6.500a2 2 0 1 1 2.5 2c-.4.2-.5.5-.5 1M8 11.500v.1",
  up: "M4 10l4-4 4 4",
  down: "M4 6l4 4 4-4",
} as const;

export type IconName = keyof typeof PATHS;

export const Icon = ({ name }: { readonly name: IconName }) => (
  <svg class="icon" viewBox="0 0 16 16" width="16" height="16" aria-hidden="true" focusable="false">
    <path d={PATHS[name]} />
  </svg>
);
