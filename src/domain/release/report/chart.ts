/** Charts as SVG: lines over time, and how many were at least so fast. No script, no fonts, nothing from elsewhere. */
import { html, type Node } from './html.ts'

export type Line = { name: string; points: readonly (readonly [x: number, y: number])[]; kind: 1 | 2 | 3 | 4 | 5 | 6 }
export type Mark = { at: number; label: string }

export type Chart = {
  lines: readonly Line[]
  x: { from: number; to: number; label: (value: number) => string }
  /** `ticks`: where lines across are drawn; left out: at quarters. */
  y: { from: number; to: number; label: (value: number) => string; ticks?: readonly number[] }
  /** Across the whole width. */
  marks?: readonly Mark[]
  /** A value stays until the next one. */
  stepped?: boolean
}

const width = 720
const height = 220
const left = 64
const bottom = 28
const top = 10
const right = 10

export function renderChart({ lines, x, y, marks = [], stepped = false }: Chart): Node {
  const toX = (value: number): number => left + ((value - x.from) / (x.to - x.from || 1)) * (width - left - right)
  const toY = (value: number): number => {
    const part = (Math.min(Math.max(value, y.from), y.to) - y.from) / (y.to - y.from || 1)
    return height - bottom - part * (height - bottom - top)
  }
  const ticks = y.ticks ?? [0, 0.25, 0.5, 0.75, 1].map(part => y.from + part * (y.to - y.from))
  return html`<svg viewBox="0 0 ${width} ${height}" role="img">
      ${ticks.map(
        value =>
          html`<line class="grid" x1="${left}" x2="${width - right}" y1="${toY(value)}" y2="${toY(value)}" /><text
              class="tick"
              x="${left - 6}"
              y="${toY(value) + 4}"
              text-anchor="end"
              >${y.label(value)}</text
            >`,
      )}
      ${[0, 0.5, 1].map(tick => {
        const value = x.from + tick * (x.to - x.from)
        return html`<text class="tick" x="${toX(value)}" y="${height - 8}" text-anchor="${anchorAt(tick)}"
          >${x.label(value)}</text
        >`
      })}
      ${marks.map(({ at, label }) => html`<line class="mark" x1="${left}" x2="${width - right}" y1="${toY(at)}" y2="${toY(at)}" /><text class="tick" x="${width - right}" y="${toY(at) - 4}" text-anchor="end">${label}</text>`)}
      ${lines.map(line => html`<path class="line k${line.kind}" d="${pathOf(line, { toX, toY, stepped })}"><title>${line.name}</title></path>`)}
    </svg>
    <p class="legend">${lines.map(({ name, kind }) => html`<span class="k${kind}">${name}</span> `)}</p>`
}

function anchorAt(tick: number): string {
  if (tick === 0) return 'start'
  return tick === 1 ? 'end' : 'middle'
}

type Scale = { toX: (value: number) => number; toY: (value: number) => number; stepped: boolean }

function pathOf({ points }: Line, { toX, toY, stepped }: Scale): string {
  return points
    .map(([x, y], at) => {
      const place = `${round(toX(x))} ${round(toY(y))}`
      const before = points[at - 1]
      if (before === undefined) return `M${place}`
      return stepped ? `H${round(toX(x))}V${round(toY(y))}` : `L${place}`
    })
    .join('')
}

const round = (value: number): number => Math.round(value * 10) / 10
