/** A plot of lines over two logarithmic axes, as SVG. */

const WIDTH = 900;
const HEIGHT = 420;
const LEFT = 60;
const RIGHT = 290;
const TOP = 20;
const BOTTOM = 50;
/** Told apart by those who see no red or no green, too. */
const COLOURS = ["#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#000000"];

const escaped = (/** @type {string} */ text) => text.replaceAll("&", "&amp;").replaceAll("<", "&lt;");

/**
 * @param {{name: string, points: number[][]}[]} lines   points are [x, y], above zero
 * @param {{x: string, y: string}} labels
 */
export function plot(lines, labels) {
  const all = lines.flatMap(({ points }) => points);
  const across = axis(all.map(([x = 1]) => x));
  const up = axis(all.map(([, y = 1]) => y));
  const x = (/** @type {number} */ value) => LEFT + across.part(value) * (WIDTH - LEFT - RIGHT);
  const y = (/** @type {number} */ value) => HEIGHT - BOTTOM - up.part(value) * (HEIGHT - TOP - BOTTOM);
  const grid = [
    ...across.decades.map((at) => rule(x(at), TOP, x(at), HEIGHT - BOTTOM)),
    ...up.decades.map((at) => rule(LEFT, y(at), WIDTH - RIGHT, y(at))),
    ...across.decades.map((at) => label(x(at), HEIGHT - BOTTOM + 18, at.toLocaleString("en"), "middle")),
    ...up.decades.map((at) => label(LEFT - 6, y(at) + 4, String(Number(at.toPrecision(1))), "end")),
    label((LEFT + WIDTH - RIGHT) / 2, HEIGHT - 8, labels.x, "middle"),
    `<text transform="translate(14 ${HEIGHT / 2}) rotate(-90)" text-anchor="middle">${escaped(labels.y)}</text>`,
  ];
  const drawn = lines.flatMap(({ name, points }, index) => {
    const colour = COLOURS[index % COLOURS.length];
    const corners = points.map(([px = 1, py = 1]) => `${x(px).toFixed(1)},${y(py).toFixed(1)}`);
    return [
      `<polyline fill="none" stroke="${colour}" stroke-width="2" points="${corners.join(" ")}"/>`,
      ...corners.map((corner) => {
        const [cx, cy] = corner.split(",");
        return `<circle cx="${cx}" cy="${cy}" r="3" fill="${colour}"/>`;
      }),
      `<rect x="${WIDTH - RIGHT + 16}" y="${TOP + index * 22}" width="14" height="4" fill="${colour}"/>`,
      label(WIDTH - RIGHT + 36, TOP + index * 22 + 6, name, "start"),
    ];
  });
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${HEIGHT}" font-family="sans-serif" font-size="12">`,
    `<title>${escaped(labels.y)}, by ${escaped(labels.x)}</title>`,
    `<rect width="${WIDTH}" height="${HEIGHT}" fill="#ffffff"/>`,
    ...grid,
    ...drawn,
    "</svg>\n",
  ].join("\n");
}

/** From the decade below the least to the decade above the most. @param {number[]} values */
function axis(values) {
  const from = Math.floor(Math.log10(Math.min(...values)));
  const to = Math.max(from + 1, Math.ceil(Math.log10(Math.max(...values))));
  return {
    decades: Array.from({ length: to - from + 1 }, (_, n) => 10 ** (from + n)),
    part: (/** @type {number} */ value) => (Math.log10(value) - from) / (to - from),
  };
}

/** @param {number} x1 @param {number} y1 @param {number} x2 @param {number} y2 */
const rule = (x1, y1, x2, y2) => `<line x1="${x1}" y1="${y1}" x2="${x2}" y2="${y2}" stroke="#dddddd"/>`;

/** @param {number} x @param {number} y @param {string} text @param {"start" | "middle" | "end"} anchor */
const label = (x, y, text, anchor) =>
  `<text x="${x.toFixed(1)}" y="${y.toFixed(1)}" text-anchor="${anchor}">${escaped(text)}</text>`;
