/** Catalog: what a version is made of. Names of versions, quantisations, and where weights come from. */
export { parseVersionName } from './version-name.ts'
export type { VersionNameParts, VersionNameReading } from './version-name.ts'
export { nameFor } from './name-for.ts'
export { quantisations, quantisationsIn, toQuantisation } from './quantisation.ts'
export type { Quantisation } from './quantisation.ts'
export { fimPrompt } from './fim.ts'
export { parseArtifactSource } from './artifact.ts'
export type { ArtifactReading, ArtifactSource } from './artifact.ts'
