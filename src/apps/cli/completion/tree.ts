/** The command line as shells complete it: what may follow each command, read from the program itself. */
import type { Command, Option } from 'commander'

/** One command, by the words that lead to it: `key create`; the program itself is ''. */
export type Place = { path: string; words: Word[] }
/** Something that may be typed there. `values`: what an option takes, when that is a choice. */
export type Word = { text: string; meaning: string; values: readonly string[] }

export function placesOf(program: Command, path: readonly string[] = []): Place[] {
  const commands = program.commands.map(command => ({
    text: command.name(),
    meaning: firstSentence(command.description()),
    values: [],
  }))
  const choices = program.registeredArguments.flatMap(({ argChoices, description }) =>
    (argChoices ?? []).map(text => ({ text, meaning: firstSentence(description), values: [] })),
  )
  const help = { text: '--help', meaning: 'Show this help', values: [] }
  const here = { path: path.join(' '), words: [...commands, ...choices, ...program.options.flatMap(wordsOf), help] }
  return [here, ...program.commands.flatMap(command => placesOf(command, [...path, command.name()]))]
}

function wordsOf({ long, description, argChoices, hidden }: Option): Word[] {
  if (long === undefined || long === null || hidden) return []
  return [{ text: long, meaning: firstSentence(description), values: argChoices ?? [] }]
}

/** Beside a word there is room for a line; what a shell might take for its own is left out. */
function firstSentence(text: string): string {
  const end = text.search(/\.(\s|$)/)
  return (end === -1 ? text : text.slice(0, end))
    .replaceAll(/['"`$\\[\]]/g, '')
    .replaceAll(':', ',')
    .trim()
}
