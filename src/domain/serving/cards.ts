/** Cards: about what they were sold for and the most they draw by their makers' sheets, for hosts that say neither. */

export type Card = {
  /** In euros or dollars; an estimate does not tell them apart. */
  price: number
  watts: number
}

/** A kilowatt-hour, where nobody says. */
export const usualPerKwh = 0.3

/** A card that nobody knows. */
export const usualCard: Card = { price: 2_500, watts: 350 }

/** The first whose words are all in a product's name counts, so longer names stand before shorter ones. */
const cards: readonly [name: string, card: Card][] = [
  ['B200', { price: 40_000, watts: 1_000 }],
  ['H200 NVL', { price: 32_000, watts: 600 }],
  ['H200', { price: 32_000, watts: 700 }],
  ['H100 PCIe', { price: 28_000, watts: 350 }],
  ['H100', { price: 28_000, watts: 700 }],
  ['A100 PCIe', { price: 12_000, watts: 300 }],
  ['A100', { price: 12_000, watts: 400 }],
  ['L40S', { price: 8_000, watts: 350 }],
  ['L40', { price: 7_500, watts: 300 }],
  ['L4', { price: 2_500, watts: 72 }],
  ['A40', { price: 5_000, watts: 300 }],
  ['A10', { price: 2_800, watts: 150 }],
  ['T4', { price: 1_000, watts: 70 }],
  ['V100', { price: 2_000, watts: 300 }],
  ['RTX PRO 6000 Max-Q', { price: 8_500, watts: 300 }],
  ['RTX PRO 6000', { price: 8_500, watts: 600 }],
  ['RTX 6000 Ada', { price: 7_000, watts: 300 }],
  ['RTX A6000', { price: 4_500, watts: 300 }],
  ['RTX 5090', { price: 2_300, watts: 575 }],
  ['RTX 5080', { price: 1_150, watts: 360 }],
  ['RTX 5070 Ti', { price: 850, watts: 300 }],
  ['RTX 4090', { price: 1_800, watts: 450 }],
  ['RTX 4080', { price: 1_100, watts: 320 }],
  ['RTX 3090 Ti', { price: 1_300, watts: 450 }],
  ['RTX 3090', { price: 1_000, watts: 350 }],
  ['RTX 3060', { price: 300, watts: 170 }],
  ['MI325X', { price: 20_000, watts: 1_000 }],
  ['MI300X', { price: 15_000, watts: 750 }],
  ['MI250X', { price: 10_000, watts: 560 }],
  ['W7900', { price: 3_500, watts: 295 }],
  ['RX 7900 XTX', { price: 950, watts: 355 }],
  ['RX 7900 XT', { price: 750, watts: 315 }],
  ['RX 9070 XT', { price: 650, watts: 304 }],
  ['Arc B580', { price: 270, watts: 190 }],
]

const wordsOf = (text: string): string[] => text.toLowerCase().match(/[a-z0-9]+/g) ?? []

/** `null`: none of those known. */
export function cardOf(product: string): Card | null {
  const words = new Set(wordsOf(product))
  return cards.find(([name]) => wordsOf(name).every(word => words.has(word)))?.[1] ?? null
}
