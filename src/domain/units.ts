/** Ids and units: numbers and strings that can't be passed where another kind is meant. Free at run time. */
declare const tag: unique symbol
type Tagged<T, Name extends string> = T & { readonly [tag]: Name }

/** A length of time in milliseconds. */
export type Millis = Tagged<number, 'Millis'>
/** A moment: milliseconds since 1970-01-01T00:00Z. */
export type Instant = Tagged<number, 'Instant'>
/** A count of a model's tokens. */
export type Tokens = Tagged<number, 'Tokens'>
/** A size in bytes. */
export type Bytes = Tagged<number, 'Bytes'>
/** A part of a whole, in [0, 1]. */
export type Share = Tagged<number, 'Share'>

/** The public name clients send (`coder`). */
export type ModelName = Tagged<string, 'ModelName'>
/** A whole version name (`production-v2.1-llama3-8b-awq-p42`). */
export type VersionName = Tagged<string, 'VersionName'>
export type ReplicaId = Tagged<string, 'ReplicaId'>
/** Stable for the life of a key, rotation included; never the secret. */
export type KeyId = Tagged<string, 'KeyId'>
export type TeamName = Tagged<string, 'TeamName'>
/** The gateway's own id for one request, a UUIDv7. */
export type RequestId = Tagged<string, 'RequestId'>
/** An administrative act's id, a UUIDv7. */
export type ActId = Tagged<string, 'ActId'>
/** A release's id, a UUIDv7. */
export type ReleaseId = Tagged<string, 'ReleaseId'>

// The brands exist only for the compiler: these constructors are the one place that asserts them.
export const millis = (value: number): Millis => value as Millis
export const instant = (value: number): Instant => value as Instant
export const tokens = (value: number): Tokens => value as Tokens
export const bytes = (value: number): Bytes => value as Bytes
export const share = (value: number): Share => value as Share
export const modelName = (value: string): ModelName => value as ModelName
export const versionName = (value: string): VersionName => value as VersionName
export const replicaId = (value: string): ReplicaId => value as ReplicaId
export const keyId = (value: string): KeyId => value as KeyId
export const teamName = (value: string): TeamName => value as TeamName
export const requestId = (value: string): RequestId => value as RequestId
export const actId = (value: string): ActId => value as ActId
export const releaseId = (value: string): ReleaseId => value as ReleaseId
