/** Models where they lie: a file or folder of this machine, or an address of the web. */
export { openArtifactFiles } from './artifact-files.ts'
export { openLocalPlace } from './local.ts'
export { openWebPlace } from './web.ts'
