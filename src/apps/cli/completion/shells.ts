/** Completion scripts for each shell, written out from the tree of commands: pressing Tab starts no program. */
import type { Place, Word } from './tree.ts'

export const shells: { readonly [shell: string]: (places: readonly Place[]) => string } = {
  bash: places =>
    [
      '# holdfast completion bash: source <(holdfast completion bash)',
      '_holdfast() {',
      '  local at="" word words=""',
      '  for word in "${COMP_WORDS[@]:1:COMP_CWORD-1}"; do',
      '    case "$at $word" in',
      `      ${pathsOf(places)}) at="$at $word" ;;`,
      '    esac',
      '  done',
      '  case "$at ${COMP_WORDS[COMP_CWORD-1]}" in',
      ...choicesOf(places).map(({ option, values }) => `    ${option}) words="${values.join(' ')}" ;;`),
      '    *) case "$at" in',
      ...places.map(({ path, words }) => `      "${spaced(path)}") words="${textsOf(words)}" ;;`),
      '    esac ;;',
      '  esac',
      '  COMPREPLY=($(compgen -W "$words" -- "${COMP_WORDS[COMP_CWORD]}"))',
      '}',
      'complete -o default -F _holdfast holdfast',
    ].join('\n'),

  zsh: places =>
    [
      '#compdef holdfast',
      '# holdfast completion zsh: source <(holdfast completion zsh), or a file _holdfast in a folder of $fpath',
      '_holdfast() {',
      '  local at="" word',
      '  local -a items',
      '  for word in "${(@)words[2,CURRENT-1]}"; do',
      '    case "$at $word" in',
      `      (${pathsOf(places)}) at="$at $word" ;;`,
      '    esac',
      '  done',
      '  case "$at ${words[CURRENT-1]}" in',
      ...choicesOf(places).map(({ option, values }) => `    (${option}) items=(${values.join(' ')}) ;;`),
      '    (*) case "$at" in',
      ...places.map(
        ({ path, words }) =>
          `      ("${spaced(path)}") items=(${words.map(({ text, meaning }) => `'${text}:${meaning}'`).join(' ')}) ;;`,
      ),
      '    esac ;;',
      '  esac',
      "  _describe 'holdfast' items || _files",
      '}',
      'if [ "$funcstack[1]" = "_holdfast" ]; then _holdfast "$@"; else compdef _holdfast holdfast; fi',
    ].join('\n'),

  fish: places =>
    [
      '# holdfast completion fish: holdfast completion fish | source',
      'function __holdfast_at',
      '  set -l at',
      '  for word in (commandline -opc)[2..]',
      '    switch "$at $word"',
      `      case ${pathsOf(places, ' ')}`,
      '        set at "$at $word"',
      '    end',
      '  end',
      '  test "$at" = "$argv[1]"',
      'end',
      ...places.flatMap(({ path, words }) => words.map(word => toFish(spaced(path), word))),
    ].join('\n'),
}

/** As `at` is built: a space before each word. */
const spaced = (path: string): string => (path === '' ? '' : ` ${path}`)
const textsOf = (words: readonly Word[]): string => words.map(({ text }) => text).join(' ')
const pathsOf = (places: readonly Place[], between = '|'): string =>
  places
    .filter(({ path }) => path !== '')
    .map(({ path }) => `"${spaced(path)}"`)
    .join(between)

function choicesOf(places: readonly Place[]): { option: string; values: readonly string[] }[] {
  return places.flatMap(({ path, words }) =>
    words
      .filter(({ values }) => values.length > 0)
      .map(({ text, values }) => ({ option: `"${spaced(path)} ${text}"`, values })),
  )
}

function toFish(path: string, { text, meaning, values }: Word): string {
  const head = `complete -c holdfast -n '__holdfast_at "${path}"'`
  if (!text.startsWith('--')) return `${head} -f -a '${text}' -d '${meaning}'`
  const takes = values.length > 0 ? ` -x -a '${values.join(' ')}'` : ''
  return `${head} -l ${text.slice(2)}${takes} -d '${meaning}'`
}
