/** Catalog: what a version is made of. Names of versions, quantisations, and where weights come from. */
export { parseVersionName, printVersionName } from './version-name.ts'
export type { VersionNameParts, VersionNameReading } from './version-name.ts'
export { nameFor } from './name-for.ts'
export { quantisations, quantisationsIn, spellQuantisation, toQuantisation } from './quantisation.ts'
export type { Quantisation } from './quantisation.ts'
export { fimPrompt } from './fim.ts'
export { ggufFiles, parseArtifactSource } from './artifact.ts'
export type { ArtifactReading, ArtifactSource, HubSource } from './artifact.ts'
export {
  blobPath,
  leftoverName,
  prunePath,
  pushPath,
  readRegistryPath,
  sourceFolder,
  sourcePath,
  versionPath,
} from './registry-layout.ts'
export type { ArtifactFile, PublishedVersion, RegistryPath } from './registry-layout.ts'
export {
  artifactListing,
  largestDocument,
  mostArtifactFiles,
  parseMirroredFile,
  parsePublishedVersion,
  parsePushLease,
} from './registry-documents.ts'
export type { DocumentReading, MirroredFile, PushLease } from './registry-documents.ts'
export { decidePrune, graceMs } from './registry-prune.ts'
export type { Prunable } from './registry-prune.ts'
export { ArtifactError } from './pinned-file.ts'
export type { FileDigest, PinnedFile } from './pinned-file.ts'
export type { AttentionGroup, ModelFacts, ModelFormat, WeightParts } from './model-facts.ts'
export {
  describeAttention,
  FormatError,
  ggufParts,
  isTable,
  judgeEngines,
  parseJson,
  parseModelSource,
  pickWeights,
  readCheckpoint,
  readGguf,
  readOnnx,
  readPytorch,
  readSafetensors,
  readSavedModel,
  readTensorRt,
  shardsIn,
  shown,
  sniff,
  sniffBytes,
  textOf,
  toGgufReport,
  toHubReport,
  toOnnxReport,
  toTensorRtReport,
  unknownFormat,
} from './formats/index.ts'
export type {
  ChatTemplate,
  EngineVerdict,
  GgufHeader,
  ListedFile,
  ModelReport,
  ModelSource,
  PickleFacts,
  PytorchFile,
  Reading,
  SideFiles,
  StoredTensor,
  Want,
} from './formats/index.ts'
