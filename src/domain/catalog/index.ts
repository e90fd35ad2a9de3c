/** Catalog: what a version is made of. Names of versions, quantisations, and where weights come from. */
export { parseVersionName, printVersionName } from './version-name.ts'
export type { VersionNameParts, VersionNameReading } from './version-name.ts'
export { findQuantisation, quantisations, quantisationsIn, toQuantisation } from './quantisation.ts'
export type { Quantisation } from './quantisation.ts'
export { parseArtifactSource } from './artifact.ts'
export type { ArtifactReading, ArtifactSource } from './artifact.ts'
