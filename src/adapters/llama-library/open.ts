/** The ports of services/quantise and services/compare. */
import type { WindowScore } from '../../domain/evaluation/index.ts'
import type { Scorer } from '../../services/compare/index.ts'
import type { Foreseen, Quantiser, TensorChange } from '../../services/quantise/index.ts'
import { fileTypes } from './file-types.ts'
import type { Told } from './log-lines.ts'
import { runOrder, type LibraryProcess } from './process.ts'

export function openQuantiser(from: LibraryProcess): Quantiser {
  const order: (asked: Parameters<Quantiser['quantise']>[0], dryRun: boolean) => Parameters<typeof runOrder>[1] = (
    { from: input, to, as, threads, requantise, importance },
    dryRun,
  ) => ({
    ...{ do: 'quantise', from: input, to, threads, requantise, dryRun, importance },
    fileType: fileTypes.get(as) ?? -1,
  })
  return {
    makes: [...fileTypes.keys()],
    async foresee(asked, signal) {
      const changes: TensorChange[] = []
      const foreseen: Foreseen = { bytes: 0, changes, fallBacks: [], importanceWanted: false }
      const onTold = (told: Told): void => {
        if (told.tells === 'tensor') changes.push(told.change)
        if (told.tells === 'bytes') foreseen.bytes = told.bytes
        if (told.tells === 'importance-wanted') foreseen.importanceWanted = true
        if (told.tells === 'fall-back')
          foreseen.fallBacks.push({ tensor: told.tensor, wanted: told.wanted, got: told.got })
      }
      await runOrder(from, order(asked, true), { signal, onTold })
      return foreseen
    },
    async quantise(asked, { signal, onTensor }) {
      const onTold = (told: Told): void => {
        if (told.tells === 'tensor') onTensor(told.at, told.of)
      }
      await runOrder(from, order(asked, false), { signal, onTold })
    },
  }
}

export function openScorer(from: LibraryProcess): Scorer {
  return {
    async score(asked, { signal, onWindow }) {
      const windows: WindowScore[] = []
      let started = { windows: 0, tokens: 0 }
      await runOrder(
        from,
        { do: 'score', ...asked },
        {
          signal,
          onSaid(said) {
            if (said.say === 'started') started = { windows: said.windows, tokens: said.tokens }
            if (said.say !== 'window') return
            windows.push(said.score)
            onWindow(windows.length, started.windows)
          },
        },
      )
      return { windows, tokens: started.tokens }
    },
  }
}
