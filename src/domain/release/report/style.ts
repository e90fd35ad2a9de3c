/** How the report looks: in light and in dark, on a screen and on paper. */
export const style = `
:root { color-scheme: light dark; --ink: #1c2024; --soft: #60646c; --line: #d9d9e0; --page: #fcfcfd; --good: #18794e; --bad: #ce2c31; --wait: #ab6400; --k1: #3358d4; --k2: #8b8d98; --k3: #ce2c31; --k4: #ab6400; --k5: #18794e; --k6: #8e4ec6; }
@media (prefers-color-scheme: dark) { :root { --ink: #edeef0; --soft: #b0b4ba; --line: #363a3f; --page: #111113; --good: #3dd68c; --bad: #ff9592; --wait: #ffca16; --k1: #9eb1ff; --k2: #7e808a; --k3: #ff9592; --k4: #ffca16; --k5: #3dd68c; --k6: #d19dff; } }
* { box-sizing: border-box }
body { font: 15px/1.5 system-ui, sans-serif; color: var(--ink); background: var(--page); max-width: 1000px; margin: 2rem auto; padding: 0 1rem }
h1 { font-size: 1.8rem; margin: 0 } h2 { font-size: 1.15rem; margin: 2.2rem 0 .5rem } h3 { font-size: 1rem; margin: 1.2rem 0 .3rem }
code { font: 13px ui-monospace, monospace } .path { margin: .2rem 0 1rem }
.verdict { border-left: 4px solid var(--soft); padding: .5rem .8rem; background: color-mix(in srgb, var(--soft) 10%, transparent) }
.verdict.promote { border-color: var(--good) } .verdict.rollback { border-color: var(--bad) } .verdict.hold, .verdict.void, .verdict.judge-inadmissible, .warning { border-color: var(--wait) }
.warning { border-left: 4px solid var(--wait); padding: .3rem .8rem }
dl { display: grid; grid-template-columns: 8rem 1fr; gap: .15rem .8rem } dt { color: var(--soft) } dd { margin: 0 }
table { border-collapse: collapse; width: 100%; font-size: 13.5px } th { text-align: left; color: var(--soft); font-weight: 500 } th, td { padding: .3rem .55rem .3rem 0; border-bottom: 1px solid var(--line); vertical-align: top; overflow-wrap: break-word } .wide { overflow-x: auto } td.s, th { white-space: nowrap } td.t { min-width: 16rem } .n { text-align: right; font-variant-numeric: tabular-nums; white-space: nowrap }
td.v, span.v { white-space: nowrap } .v.promote { color: var(--good) } .v.rollback, td.rollback { color: var(--bad) } .v.hold, .v.void, .v.judge-inadmissible { color: var(--wait) }
svg { width: 100%; height: auto; display: block } .grid { stroke: var(--line) } .mark { stroke: var(--soft); stroke-dasharray: 4 4 } .tick { fill: var(--soft); font-size: 11px } .line { fill: none; stroke-width: 2 }
.k1 { stroke: var(--k1); color: var(--k1) } .k2 { stroke: var(--k2); color: var(--k2) } .k3 { stroke: var(--k3); color: var(--k3) } .k4 { stroke: var(--k4); color: var(--k4) } .k5 { stroke: var(--k5); color: var(--k5) } .k6 { stroke: var(--k6); color: var(--k6) }
.legend { margin: .2rem 0 0; font-size: 13px } .legend span { margin-right: 1rem } .legend span::before { content: '● '; }
footer { color: var(--soft); margin: 3rem 0 1rem; font-size: 13px }
`
